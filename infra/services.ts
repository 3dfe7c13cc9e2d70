import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { install, LANES } from './install.ts';
import { NATIVE_SERVICES, type NativeService, type RunningService, serviceNamed } from './native-services.ts';

const NAMES = Object.keys(NATIVE_SERVICES);
const PORTS = Object.values(NATIVE_SERVICES).map(({ title, port }) => `      ${title} on port ${port}`);
const USAGE = `The real services and tools that tests and benchmarks use, for machines without Docker (Debian, root).

  npm run services -- install
      installs what is missing of the services and of what tests check with; it takes minutes, once

  npm run services -- start [${NAMES.join(' ')}] [--data DIR]
      runs the services that are named, or all of them, until Ctrl+C; their data goes with them unless --data says where
      it stays
${PORTS.join('\n')}
`;

type Chosen = readonly (readonly [name: string, service: NativeService])[];

async function start(chosen: Chosen, dataFolder: string | null): Promise<void> {
  const missing = chosen.filter(([, service]) => !service.isInstalled());
  await install(missing.map(([, service]) => [service]));
  const folder = dataFolder ?? (await mkdtemp(join(tmpdir(), 'atlas-services-')));
  await mkdir(folder, { recursive: true });
  // PostgreSQL runs as a user of its own, who must be able to pass.
  await chmod(folder, 0o755);
  const told = new Promise<null>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => done(null));
  });
  const running = new Map<string, RunningService>();
  try {
    const starts = await Promise.allSettled(
      chosen.map(async ([name, service]) => {
        const startMs = performance.now();
        const run = await service.start(join(folder, name), service.port);
        running.set(service.title, run);
        const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
        console.log(`${service.title} runs on port ${service.port} (${seconds} s).`);
      }),
    );
    const failed = starts.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    announce([...running.values()], dataFolder);
    const ends = [...running].map(([title, { exited }]) => exited.then(() => title));
    const ended = await Promise.race([told, ...ends]);
    if (ended !== null)
      throw new Error(
        `${ended} has ended.\n  why:  something else than this command ended it\n  do:   start the services again`,
      );
  } finally {
    await Promise.all([...running.values()].map((run) => run.end()));
    if (dataFolder === null) await rm(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

function announce(running: readonly RunningService[], dataFolder: string | null): void {
  const settings = running.flatMap((run) => Object.entries(run.settings));
  const lines = settings.map(([name, value]) => `  export ${name}=${value}`);
  const data = dataFolder === null ? 'goes when they end' : `stays in ${dataFolder}`;
  console.log(
    `\nThe services run until Ctrl+C. Their data ${data}.\nThese settings lead Atlas to them, in its shell or its .env:\n\n${lines.join('\n')}\n`,
  );
}

function refuse(why: string): never {
  throw new Error(`There is nothing to do.\n  why:  ${why}\n  do:   npm run services -- --help`);
}

async function run(args: string[]): Promise<void> {
  const options = { data: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [command, ...names] = positionals;
  if (command === undefined || values.help) return console.log(USAGE);
  if (command === 'install' && names.length === 0) return install(LANES);
  if (command !== 'start') refuse(`${args.join(' ')} is no command of it`);
  const chosen = (names.length === 0 ? NAMES : [...new Set(names)]).map((name) => {
    return [
      name,
      serviceNamed(name) ?? refuse(`${name} is no service, but ${NAMES.join(', ')} are`),
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
