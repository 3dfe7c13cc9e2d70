import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPostgres } from '../../../src/adapters/postgres/postgres.ts';
import { PLANTED_BUGS, plantBug } from '../../contract/ledger/planted-bugs.ts';
import { isPostgresHere } from '../../support/postgres.ts';
import { checkHistory } from './check-history.ts';
import { recordHistory } from './history.ts';
import { prove } from './prove.ts';
import { type Sabotaged, startSabotaged } from './sabotage.ts';

// Shortened: `npm run prove` and `npm run history` run them in full.
const PROGRAMS = 150;
const AT_ONCE = 16;
const HISTORY_SECONDS = 8;
const TIMEOUT_MS = 180_000;
const seed = Math.floor(Math.random() * 1e9);

let atlas: Sabotaged;
beforeAll(async () => {
  if (isPostgresHere()) atlas = await startSabotaged();
}, TIMEOUT_MS);
afterAll(async () => {
  await atlas?.end();
});

test.skipIf(!isPostgresHere())(
  'programs of concurrent callers have the results of the model, whatever is killed meanwhile',
  async () => {
    const sabotage = atlas.sabotage();
    const proof = await prove(atlas, { programs: PROGRAMS, atOnce: AT_ONCE, seed, shrinks: false });
    await sabotage.stop();
    expect(proof.divergences).toEqual([]);
    expect(proof.programs).toBe(PROGRAMS);
    expect(proof.refused).toBeGreaterThan(PROGRAMS);
    // Otherwise nothing was in flight at the kills.
    expect(proof.retried).toBeGreaterThan(AT_ONCE);
    const verification = await atlas.call('GET', '/v1/ledger/verification');
    expect(await verification.json()).toMatchObject({ ok: true, discrepancies: [] });
  },
  TIMEOUT_MS,
);

test.skipIf(!isPostgresHere())(
  'a history of transfers, holds, and reads is strictly serializable, whatever is killed meanwhile',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'atlas-history-'));
    const file = join(folder, 'history.ndjson');
    const options = { seconds: HISTORY_SECONDS, clients: 8, accounts: 4, file, kills: true };
    const { compared, violations } = checkHistory(await recordHistory(atlas, options));
    expect(violations).toEqual([]);
    expect(compared).toBeGreaterThan(100);
    const [head, ...lines] = (await Bun.file(file).text()).trim().split('\n');
    expect(JSON.parse(head!)).toMatchObject({ format: 'atlas-history-1' });
    expect(lines.map((line) => JSON.parse(line)).some(({ type }) => type === 'info')).toBe(true);
    await rm(folder, { recursive: true, force: true });
  },
  TIMEOUT_MS,
);

test.skipIf(!isPostgresHere())(
  'programs diverge from the model when the ledger has a bug',
  async () => {
    const sql = openPostgres({ url: atlas.databaseUrl, connectionsMax: 1, timeoutSeconds: 20 });
    await plantBug(sql, PLANTED_BUGS.find(({ what }) => what === 'a settled hold is posted')!);
    const proof = await prove(atlas, { programs: PROGRAMS, atOnce: AT_ONCE, seed, shrinks: false });
    await sql.end({ timeout: 5 });
    expect(proof.divergences.length).toBeGreaterThan(0);
    expect(proof.divergences[0]).toMatch(/^seed \d+, path [\d:]+, after \d+ shrinks: \[/);
  },
  TIMEOUT_MS,
);
