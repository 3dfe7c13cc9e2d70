import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { failure } from './failure.ts';
import { install, LANES } from './install.ts';
import { NATIVE_SERVICES, type NativeService, type RunningService, serviceNamed } from './native-services.ts';

const NAMES = Object.keys(NATIVE_SERVICES);
const PORTS = Object.values(NATIVE_SERVICES).map(({ title, port }) => `      ${title} on port ${port}`);
const USAGE = `Real services and tools for tests and benchmarks, on machines without Docker (Debian, root).

  npm run services -- install
      installs the services and test tools that are missing; takes minutes, once

  npm run services -- start [${NAMES.join(' ')}] [--data DIR]
      runs the named services, or all of them, until Ctrl+C; their data is deleted on exit unless --data names a
      directory to keep it in
${PORTS.join('\n')}
`;

type Chosen = readonly (readonly [name: string, service: NativeService])[];

async function start(chosen: Chosen, dataFolder: string | null): Promise<void> {
  const missing = chosen.filter(([, service]) => !service.isInstalled());
  await install(missing.map(([, service]) => [service]));
  const folder = dataFolder ?? (await mkdtemp(join(tmpdir(), 'atlas-services-')));
  await mkdir(folder, { recursive: true });
  // PostgreSQL runs as another user, who needs access to its folder.
  await chmod(folder, 0o755);
  const stopped = new Promise<null>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => done(null));
  });
  const running = new Map<string, RunningService>();
  try {
    const starts = await Promise.allSettled(
      chosen.map(async ([name, service]) => {
        const startMs = performance.now();
        const run = await service.start(join(folder, name), service.port);
        running.set(service.title, run);
        const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
        console.log(`${service.title} is running on port ${service.port} (${seconds} s).`);
      }),
    );
    const failed = starts.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    printSettings([...running.values()], dataFolder);
    const exits = [...running].map(([title, { exited }]) => exited.then(() => title));
    const exitedTitle = await Promise.race([stopped, ...exits]);
    if (exitedTitle !== null)
      throw failure(
        `${exitedTitle} has exited.`,
        'something other than this command stopped it',
        'start the services again',
      );
  } finally {
    await Promise.all([...running.values()].map((run) => run.end()));
    if (dataFolder === null) await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

function printSettings(running: readonly RunningService[], dataFolder: string | null): void {
  const settings = running.flatMap((run) => Object.entries(run.settings));
  const lines = settings.map(([name, value]) => `  export ${name}=${value}`);
  const data = dataFolder === null ? 'is deleted on exit' : `is kept in ${dataFolder}`;
  console.log(
    `\nThe services run until Ctrl+C. Their data ${data}.\nTo use them, set in the shell or .env of Atlas:\n\n${lines.join('\n')}\n`,
  );
}

function refuse(why: string): never {
  throw failure('Invalid arguments.', why, 'npm run services -- --help');
}

async function run(args: string[]): Promise<void> {
  const options = { data: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [command, ...names] = positionals;
  if (command === undefined || values.help) return console.log(USAGE);
  if (command === 'install' && names.length === 0) return install(LANES);
  if (command !== 'start') refuse(`unknown command: ${args.join(' ')}`);
  const chosen = (names.length === 0 ? NAMES : [...new Set(names)]).map((name) => {
    return [
      name,
      serviceNamed(name) ?? refuse(`unknown service ${name}; the services are ${NAMES.join(', ')}`),
    ] as const;
  });
  await start(chosen, values.data === undefined ? null : resolve(values.data));
}

await run(process.argv.slice(2)).then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`\n${error.message}\n`);
    process.exit(1);
  },
);
