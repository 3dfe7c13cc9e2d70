// Runs one real service on a folder and a port until it is told to end: what `atlas demo` starts, kills and starts again.
//   bun infra/run-service.ts postgres FOLDER PORT
// Says in one line of JSON which process it is and which settings of Atlas lead to it. A folder of before keeps its data.
import { NATIVE_SERVICES, serviceNamed } from './native-services.ts';

const PARENT_CHECK_MS = 500;

async function run(name: string, folder: string, port: number): Promise<void> {
  const service = serviceNamed(name);
  if (service === null || !folder || !(port > 0)) {
    const names = Object.keys(NATIVE_SERVICES).join('|');
    throw new Error(
      `There is nothing to run.\n  why:  the arguments are not a service, a folder and a port\n  do:   bun infra/run-service.ts ${names} FOLDER PORT`,
    );
  }
  const ended = new Promise<void>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => done());
    // Whoever started this may be killed, and nobody else would end the service then.
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && done(), PARENT_CHECK_MS).unref();
  });
  const { pid, exited, settings } = await service.start(folder, port);
  console.log(JSON.stringify({ pid, settings }));
  await Promise.race([ended, exited]);
  try {
    // Its data goes with the demo, and one that was stopped (SIGSTOP) would not hear anything else.
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended already.
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
