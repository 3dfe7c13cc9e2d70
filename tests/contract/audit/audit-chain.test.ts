import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordAudit } from '../../../src/adapters/postgres/audit.ts';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { openOutsideStore } from '../../../src/features/audit/sealing/outside-store.ts';
import { createSealingRepository } from '../../../src/features/audit/sealing/repository.ts';
import { createAuditSealing } from '../../../src/features/audit/sealing/service.ts';
import { generateKey } from '../../../src/utils/sealing.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';

const ENTRIES = 7;
const KEY = generateKey();

describe.each(availableEngines())('the chain of audit entries on the %s PostgreSQL', (engine) => {
  let db: Database;
  let superuser: Sql;
  let folder: string;
  const folders: string[] = [];
  beforeAll(async () => {
    const url = await freshDatabase(engine);
    db = openTestDatabase(url);
    superuser = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 20 });
    // What only a superuser can do: triggers do not fire.
    await superuser`SET session_replication_role = replica`;
  }, 60_000);
  afterAll(async () => {
    await superuser.end();
    await db.end();
    for (const each of folders) rmSync(each, { recursive: true });
  });
  beforeEach(async () => {
    await superuser`TRUNCATE audit_entries RESTART IDENTITY`;
    folder = newFolder();
    for (let i = 1; i <= ENTRIES; i++) await record(`target ${i}`);
  });

  function newFolder(): string {
    const path = mkdtempSync(join(tmpdir(), 'atlas-audit-'));
    folders.push(path);
    return path;
  }
  const record = (id: string) =>
    recordAudit(
      db,
      { kind: 'key', id: 'someone' },
      {
        action: 'thing.changed',
        organization: 'acme',
        target: { type: 'thing', id },
        before: { n: 1 },
        after: { n: 2 },
      },
    );
  const host = (
    where = folder,
    more: { AUDIT_KEY?: string; AUDIT_FORMER_KEYS?: string[] } = {},
    embedded = false,
  ) =>
    createAuditSealing(
      createSealingRepository(db),
      openOutsideStore({ ATLAS_DATA_DIR: where, AUDIT_KEY: KEY, AUDIT_FORMER_KEYS: [], ...more }, embedded),
      (head) => heads.push(head),
    );
  const heads: { position: number; seal: string }[] = [];

  test('an untouched one is intact, and grows in the order of the entries', async () => {
    await host().seal();
    expect(await host().verify()).toMatchObject({ intact: ENTRIES, broken: null, unsealed: 0 });
    await record('later');
    expect(await host().verify()).toMatchObject({ intact: ENTRIES, broken: null, unsealed: 1 });
    await host().seal();
    const { intact, head } = await host().verify();
    expect(intact).toBe(ENTRIES + 1);
    expect(JSON.parse(readFileSync(join(folder, 'audit-head.json'), 'utf8'))).toEqual(head);
    expect(heads.at(-1)).toEqual(head!);
  });

  test.each([
    ['an edited target', "UPDATE audit_entries SET target_id = 'other' WHERE position = 3", 3],
    ['an edited actor', `UPDATE audit_entries SET actor = '{"kind":"key","id":"x"}' WHERE position = 3`, 3],
    [
      'an edited time',
      "UPDATE audit_entries SET occurred_at = occurred_at - interval '1 microsecond' WHERE position = 4",
      4,
    ],
    ['an edited content', `UPDATE audit_entries SET after = '{"n":3}' WHERE position = 1`, 1],
    ['an edited organization', "UPDATE audit_entries SET organization = 'x' WHERE position = 5", 5],
    ['an edited action', "UPDATE audit_entries SET action = 'x' WHERE position = 5", 5],
    ['a removed content', 'UPDATE audit_entries SET before = NULL WHERE position = 2', 2],
    ['an edited seal', "UPDATE audit_entries SET seal = sha256('') WHERE position = 6", 6],
    ['a deleted first entry', 'DELETE FROM audit_entries WHERE position = 1', 1],
    ['a deleted entry', 'DELETE FROM audit_entries WHERE position = 4', 4],
    ['a deleted last entry', 'DELETE FROM audit_entries WHERE position = 7', 7],
    ['deleted last entries', 'DELETE FROM audit_entries WHERE position > 4', 5],
    ['a deleted log', 'DELETE FROM audit_entries', 1],
    [
      'a deleted entry, with the others moved up',
      'DELETE FROM audit_entries WHERE position = 2; UPDATE audit_entries SET position = position - 1 WHERE position > 2',
      2,
    ],
    [
      'two exchanged entries',
      'UPDATE audit_entries SET position = 99 WHERE position = 3; UPDATE audit_entries SET position = 3 WHERE position = 5; UPDATE audit_entries SET position = 5 WHERE position = 99',
      3,
    ],
    [
      'an entry that was unsealed to be sealed again elsewhere',
      'UPDATE audit_entries SET position = NULL, seal = NULL, key_id = NULL WHERE position = 3',
      3,
    ],
  ])('%s is found, with its position', async (_, tampering, position) => {
    await host().seal();
    await superuser.unsafe(tampering);
    const { broken } = await host().verify();
    expect(broken?.position).toBe(position);
    expect(broken!.why.length).toBeGreaterThan(20);
  });

  test('entries deleted at the end are found with a head from the log alone', async () => {
    await host().seal();
    const head = heads.at(-1)!;
    await superuser`DELETE FROM audit_entries WHERE position > 5`;
    const elsewhere = host(newFolder());
    expect((await elsewhere.verify()).broken).toBeNull();
    expect((await elsewhere.verify(head)).broken?.position).toBe(6);
  });

  test('a chain rewritten with another key is found', async () => {
    await host().seal();
    await superuser`UPDATE audit_entries SET position = NULL, seal = NULL, key_id = NULL`;
    await superuser`UPDATE audit_entries SET target_id = 'forged' WHERE id = 2`;
    await host(newFolder(), { AUDIT_KEY: generateKey() }).seal();
    expect((await host().verify()).broken).toMatchObject({
      position: 1,
      why: expect.stringContaining('which this host does not have'),
    });
  });

  test('no host continues a chain that lost what it has seen', async () => {
    await host().seal();
    await superuser`DELETE FROM audit_entries WHERE position > 3`;
    await record('after the attack');
    const sealing = host();
    await expect(sealing.seal()).rejects.toThrow('does not continue');
    expect(sealing.stats.failures).toBe(1);
    expect((await sealing.counts()).sealed).toBe(3);
    expect(JSON.parse(readFileSync(join(folder, 'audit-head.json'), 'utf8')).position).toBe(ENTRIES);
  });

  test('two hosts seal one chain, each entry once', async () => {
    const [one, two] = [host(), host(newFolder())];
    for (let i = 0; i < 5; i++) {
      await Promise.all([record(`more ${i}`), one.seal(), two.seal()]);
    }
    await one.seal();
    await two.seal();
    expect(await one.verify()).toMatchObject({ intact: ENTRIES + 5, broken: null, unsealed: 0 });
    expect((await two.verify()).broken).toBeNull();
    expect(one.stats.sealed + two.stats.sealed).toBe(ENTRIES + 5);
  });

  test('an entry that commits late is sealed after those that overtook it', async () => {
    await db.transaction(async (tx) => {
      await recordAudit(
        tx,
        { kind: 'command', id: 'slow' },
        {
          action: 'thing.changed',
          organization: 'acme',
          target: { type: 'thing', id: 'slow' },
        },
      );
      await record('fast');
      await host().seal();
    });
    await host().seal();
    const [slow] = await superuser`SELECT position FROM audit_entries WHERE target_id = 'slow'`;
    const [fast] = await superuser`SELECT position FROM audit_entries WHERE target_id = 'fast'`;
    expect([fast!.position, slow!.position]).toEqual([ENTRIES + 1, ENTRIES + 2]);
    expect((await host().verify()).broken).toBeNull();
  });

  test('a former key still verifies what it sealed', async () => {
    await host().seal();
    await record('with the next key');
    const next = generateKey();
    const rotated = host(folder, { AUDIT_KEY: next, AUDIT_FORMER_KEYS: [KEY] });
    await rotated.seal();
    expect(await rotated.verify()).toMatchObject({ intact: ENTRIES + 1, broken: null });
    expect((await host(folder, { AUDIT_KEY: next }).verify()).broken?.position).toBe(1);
  });

  test('many entries are sealed and verified in steps', async () => {
    await superuser`
      INSERT INTO audit_entries (organization, actor, action, target_type, target_id)
      SELECT 'acme', '{"kind":"system","id":"many"}', 'x.y', 'x', n::text FROM generate_series(1, 1200) n`;
    await host().seal();
    expect(await host().verify()).toMatchObject({ intact: ENTRIES + 1200, broken: null, unsealed: 0 });
  });

  test('with the embedded server and no setting, the key is a file of the owner; else nothing is sealed', async () => {
    const unset = { AUDIT_KEY: undefined } as never;
    const without = host(folder, unset, false);
    await without.seal();
    expect((await without.counts()).sealed).toBe(0);
    expect(without.store.keySource).toBeNull();
    const embedded = host(folder, unset, true);
    await embedded.seal();
    const file = join(folder, 'audit.key');
    expect(embedded.store.keySource).toBe(file);
    expect(existsSync(file)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await host(folder, unset, true).verify()).toMatchObject({ intact: ENTRIES, broken: null });
  });
});
