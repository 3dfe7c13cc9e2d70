import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPostgres, isPostgresInstalled, startNativePostgres } from './native-postgres.ts';
import { findRedis, installRedis, startNativeRedis } from './native-redis.ts';
import { findChromium, findSchemathesis, installChromium, installSchemathesis } from './test-tools.ts';
import { findToxiproxy, installToxiproxy } from './toxiproxy.ts';

const POSTGRES_PORT = 5433;
const REDIS_PORT = 6379;
const USAGE = `The real services that tests and benchmarks use, for machines without Docker (Debian, root).

  npm run services -- install   install PostgreSQL 15, Redis, toxiproxy, Chromium and schemathesis where they are missing
  npm run services -- start     run PostgreSQL 15 on port ${POSTGRES_PORT} and Redis on port ${REDIS_PORT}, both empty, until Ctrl+C
`;

const parts = [
  { name: 'PostgreSQL 15', isThere: isPostgresInstalled, install: () => installPostgres() },
  { name: 'Redis', isThere: () => findRedis() !== null, install: installRedis },
  { name: 'toxiproxy', isThere: () => findToxiproxy() !== null, install: installToxiproxy },
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

/** Data of a service started by hand is for trying things out, so it goes when the services end. */
async function start(): Promise<void> {
  await installPostgres((text) => console.log(`${text} …`));
  await installRedis();
  const folder = await mkdtemp(join(tmpdir(), 'atlas-services-'));
  // PostgreSQL runs as a user of its own, who must be able to pass.
  await chmod(folder, 0o755);
  const ended = new Promise<void>((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => done());
  });
  try {
    const redisFolder = join(folder, 'redis');
    await mkdir(redisFolder);
    const redis = await startNativeRedis(redisFolder, REDIS_PORT);
    try {
      const postgres = await startNativePostgres(join(folder, 'postgres'), undefined, POSTGRES_PORT);
      console.log(
        `PostgreSQL 15 and Redis run. Their data goes when they end (Ctrl+C).\n\n  DATABASE_URL=${postgres.url}\n  REDIS_URL=${redis.url}\n`,
      );
      await Promise.race([ended, postgres.exited, redis.exited]);
      await postgres.stop();
    } finally {
      await redis.end('SIGTERM');
    }
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
