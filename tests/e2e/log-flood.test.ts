import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openPostgres, type Sql } from '../../src/adapters/postgres/postgres.ts';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 60_000;
const CALLERS = 40;
const LOAD_MS = 3000;
// What one host logs in a second: payments, failures, refusals, and everything else.
const LINES_PER_SECOND = 2000 + 1000 + 200 + 500;

let folder: string;
let atlas: AtlasProcess;
let sql: Sql;
beforeEach(async () => {
  folder = await makeFolder();
  atlas = await startAtlas(folder, { API_WORKERS: '1' });
  sql = await openEmbedded();
}, TIMEOUT_MS);
afterEach(async () => {
  await sql.end({ timeout: 1 });
  await atlas.end('SIGTERM');
  await removeFolder(folder);
}, TIMEOUT_MS);

async function openEmbedded(): Promise<Sql> {
  const home = join(folder, 'data', 'postgres');
  const password = (await readFile(join(home, 'password'), 'utf8')).trim();
  const port = (await readFile(join(home, '18', 'postmaster.pid'), 'utf8')).split('\n')[3];
  const url = `postgres://atlas:${password}@127.0.0.1:${port}/atlas`;
  return openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
}

const get = (path: string) =>
  fetch(`${atlas.url}${path}`, { headers: { Authorization: `Bearer ${atlas.key}` } });

function pay(): Promise<Response> {
  const body = { debitAccountId: DEMO_ACCOUNTS.alice, creditAccountId: DEMO_ACCOUNTS.bob, amount: 1 };
  return fetch(`${atlas.url}/v1/transfers`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${atlas.key}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': crypto.randomUUID(),
    },
    body: JSON.stringify(body),
  });
}

/** Reads and pays as fast as possible for a while; returns what was logged meanwhile, and the last two responses. */
async function underLoad(breakIt: () => Promise<unknown>) {
  const from = atlas.output().length;
  const startMs = performance.now();
  const bodies: string[] = [];
  let isOver = false;
  const callers = Array.from({ length: CALLERS }, async (_, i) => {
    while (!isOver) bodies[i] = await (await (i % 2 === 0 ? pay() : get('/v1/accounts'))).text();
  });
  await Bun.sleep(LOAD_MS / 3);
  await breakIt();
  await Bun.sleep(LOAD_MS);
  isOver = true;
  await Promise.all(callers);
  const seconds = Math.ceil((performance.now() - startMs) / 1000) + 1;
  const lines = atlas.output().slice(from).split('\n');
  return { lines, bodies, linesMax: seconds * LINES_PER_SECOND };
}

describe('under load', () => {
  test(
    'a dropped table is one line with what to do; not ready; other tables and the breaker are not affected',
    async () => {
      const { lines, bodies, linesMax } = await underLoad(() => sql`DROP TABLE accounts CASCADE`);
      const about = lines.filter((line) => line.includes('PostgreSQL is not set up for this request.'));
      expect(about).toHaveLength(1);
      expect(about[0]).toContain('relation \\"accounts\\" does not exist');
      expect(about[0]).toContain('do="Run `npm run migrate`.');
      expect(lines.filter((line) => line.includes('ERROR'))).toEqual([]);
      expect(lines.length).toBeLessThan(linesMax);

      expect(bodies.join()).toContain('/problems/dependency_unavailable');
      expect(bodies.join()).not.toContain('relation');
      expect((await get('/health/ready')).status).toBe(503);
      expect((await get('/v1/webhooks')).status).toBe(200);
      expect(await (await get('/health/deep')).text()).toContain('"breaker":"closed"');
    },
    TIMEOUT_MS,
  );

  test(
    'an unexpected error has its stack in the log once, whatever the number of requests',
    async () => {
      const { lines, linesMax } = await underLoad(
        () => sql`ALTER TABLE accounts RENAME COLUMN ledger TO elsewhere`,
      );
      const errors = lines.filter((line) => line.includes('ERROR'));
      // One for each route, and one of the job that verifies the ledger.
      expect(errors.length).toBeGreaterThan(0);
      expect(errors.length).toBeLessThanOrEqual(3);
      expect(errors[0]).toContain('stack');
      expect(lines.length).toBeLessThan(linesMax);
    },
    TIMEOUT_MS,
  );
});
