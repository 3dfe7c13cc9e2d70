import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPostgres, isPostgresInstalled, startNativePostgres } from './native-postgres.ts';
import { findChromium, findSchemathesis, installChromium, installSchemathesis } from './test-tools.ts';

const PORT = 5433;
const USAGE = `The real services that tests and benchmarks use, for machines without Docker (Debian, root).

  npm run services -- install   install PostgreSQL 15, Chromium and schemathesis where they are missing
  npm run services -- start     run PostgreSQL 15 on port ${PORT} with an empty database until Ctrl+C
`;

const parts = [
  { name: 'PostgreSQL 15', isThere: isPostgresInstalled, install: () => installPostgres() },
  { name: 'Chromium', isThere: () => findChromium() !== null, install: installChromium },
  { name: 'schemathesis', isThere: () => findSchemathesis() !== null, install: installSchemathesis },
];

async function install(): Promise<void> {
  for (const { name, isThere, install } of parts) {
    if (isThere()) {
      console.log(`${name} is here.`);
      continue;
    }
    const startMs = performance.now();
    console.log(`Installing ${name} …`);
    await install();
    console.log(`${name} is installed (${((performance.now() - startMs) / 1000).toFixed(0)} s).`);
  }
}

/** Data of a service started by hand is for trying things out, so it goes when the service ends. */
async function start(): Promise<void> {
  await installPostgres((text) => console.log(`${text} …`));
  const folder = await mkdtemp(join(tmpdir(), 'atlas-services-'));
  const ended = new Promise<void>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => done());
  });
  try {
    const server = await startNativePostgres(folder, undefined, PORT);
    console.log(`PostgreSQL 15 runs. Its data goes when it ends (Ctrl+C).\n\n  DATABASE_URL=${server.url}\n`);
    await Promise.race([ended, server.exited]);
    await server.stop();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const command = { install, start }[process.argv[2] ?? ''];
if (command === undefined) {
  process.stdout.write(USAGE);
  process.exit(process.argv[2] === undefined || process.argv[2] === '--help' ? 0 : 1);
}
await command().then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`\n${error.message}\n`);
    process.exit(1);
  },
);
