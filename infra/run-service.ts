// Runs one real service on a folder and a port until it is stopped: `atlas demo` starts, kills and restarts it.
//   bun infra/run-service.ts postgres FOLDER PORT
// Prints one line of JSON: the pid of the service, and the settings with which Atlas uses it. Keeps data in the folder.
import { failure } from './failure.ts';
import { NATIVE_SERVICES, serviceNamed } from './native-services.ts';

const PARENT_CHECK_MS = 500;

async function run(name: string, folder: string, port: number): Promise<void> {
  const service = serviceNamed(name);
  if (service === null || !folder || !(port > 0)) {
    const names = Object.keys(NATIVE_SERVICES).join('|');
    throw failure(
      'No service was started.',
      'the arguments are not a service, a folder and a port',
      `bun infra/run-service.ts ${names} FOLDER PORT`,
    );
  }
  const stopped = new Promise<void>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => done());
    // If the parent is killed, nothing else stops the service.
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && done(), PARENT_CHECK_MS).unref();
  });
  const { pid, exited, settings } = await service.start(folder, port);
  console.log(JSON.stringify({ pid, settings }));
  await Promise.race([stopped, exited]);
  try {
    // Its data is deleted with the demo, and a paused service (SIGSTOP) reacts to nothing else.
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has exited already.
  }
  await exited;
}

const [name = '', folder = '', port] = process.argv.slice(2);
await run(name, folder, Number(port)).then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  },
);
