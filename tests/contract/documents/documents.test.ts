import { describe, expect, test } from 'bun:test';
import type { Sql } from '../../../src/adapters/postgres/postgres.ts';
import { createKindRepository } from '../../../src/features/documents/kinds/repository.ts';
import { createDocumentRepository } from '../../../src/features/documents/records/repository.ts';
import { createReassignmentRepository } from '../../../src/features/ledger/reassignment/repository.ts';
import { createReservedId } from '../../../src/utils/reserved-id.ts';
import { Turns } from '../../../src/utils/turns.ts';
import { availableEngines } from '../../support/database.ts';
import { until } from '../../support/until.ts';
import { insertAccounts, SLOW_TEST_MS, withDatabase } from '../ledger/ledger-database.ts';

const ACTOR = { kind: 'command', id: 'test' } as const;
const BYTES_MAX = 1_048_576;
const SHA256 = Buffer.alloc(32, 1);
const KIND = { kind: 'identity', title: null, schema: {}, sha256: SHA256, sizeBytes: 2 };
const contentOf = (name: string) => ({
  content: { name },
  sha256: new Bun.CryptoHasher('sha256').update(name).digest(),
  sizeBytes: 12,
  kindVersion: 1,
});

/** Rejects with the message of PostgreSQL. */
async function refusalOf(work: PromiseLike<unknown>): Promise<string> {
  try {
    await work;
    return 'not refused';
  } catch (error) {
    return (error as Error).message;
  }
}

/** The plan of a search, as PostgreSQL runs it inside of the function. */
async function planOf(sql: Sql, contained: object): Promise<string> {
  return sql.begin(async (tx) => {
    await tx`SET LOCAL enable_seqscan = off`;
    const rows = await tx<{ 'QUERY PLAN': string }[]>`
      EXPLAIN SELECT FROM documents d WHERE d.searched @> ${tx.json(contained as never)} LIMIT 501`;
    return JSON.stringify(rows);
  });
}

describe.each(availableEngines())('documents on %s PostgreSQL', (engine) => {
  const withDocument = (
    work: (world: {
      readonly sql: Sql;
      readonly kinds: ReturnType<typeof createKindRepository>;
      readonly documents: ReturnType<typeof createDocumentRepository>;
      readonly workers: readonly ReturnType<typeof createDocumentRepository>[];
      readonly reassignment: ReturnType<typeof createReassignmentRepository>;
      readonly path: { readonly owner: string; readonly accountId: string; readonly kind: string };
    }) => Promise<void>,
  ) =>
    withDatabase(engine, async (sql, _, db) => {
      const [accountId] = await insertAccounts(sql, [{ ledger: 'EUR', allowNegative: true, owner: 'one' }]);
      await sql`INSERT INTO organizations (id, name) VALUES ('one', ''), ('two', '') ON CONFLICT DO NOTHING`;
      const kinds = createKindRepository(db, BYTES_MAX, new Turns());
      for (const owner of ['one', 'two']) await kinds.write(owner, KIND, 'none', ACTOR);
      // As many workers, which do not wait for each other's turns.
      const workers = Array.from({ length: 4 }, () => createDocumentRepository(db, BYTES_MAX, new Turns()));
      const documents = workers[0]!;
      const path = { owner: 'one', accountId: accountId!, kind: 'identity' };
      const id = createReservedId('document');
      expect(await documents.write(path, id, contentOf('A'), 'none', ACTOR)).toMatchObject({
        outcome: 'created',
      });
      await work({ sql, kinds, documents, workers, reassignment: createReassignmentRepository(db), path });
    });

  test(
    'the history is immutable in the database',
    () =>
      withDocument(async ({ sql }) => {
        for (const statement of [
          'UPDATE document_versions SET content = null, sha256 = null, size_bytes = null, kind_version = null, kind_owner = null',
          'DELETE FROM document_versions',
          'TRUNCATE document_versions',
          "UPDATE document_kinds SET title = 'x'",
          'DELETE FROM document_kinds',
          'TRUNCATE document_kinds',
          'DELETE FROM documents',
          'TRUNCATE documents',
        ])
          expect(await refusalOf(sql.unsafe(statement))).toContain('immutable');
      }),
    SLOW_TEST_MS,
  );

  test(
    'of writers of one version at once, one writes, and the bytes count what is stored',
    () =>
      withDocument(async ({ sql, workers, path }) => {
        for (let version = 1; version <= 5; version++) {
          const outcomes = await Promise.all(
            Array.from({ length: 12 }, (_, n) => {
              const id = createReservedId('document');
              return workers[n % 4]!.write(path, id, contentOf(`${version}.${n}`), [version], ACTOR);
            }),
          );
          const written = outcomes.filter(({ outcome }) => outcome === 'changed');
          expect(written).toMatchObject([{ version: version + 1 }]);
        }
        const [row] = await sql`
          SELECT (SELECT bytes FROM document_usage WHERE owner = 'one') AS used,
            (SELECT sum(1024 + coalesce(size_bytes, 0)) FROM document_versions)::bigint + 1026 AS stored,
            (SELECT bytes FROM documents) + 1026 AS counted`;
        expect(row).toEqual({ used: 6 * 1036 + 1026, stored: 6 * 1036 + 1026, counted: 6 * 1036 + 1026 });
      }),
    SLOW_TEST_MS,
  );

  test(
    'a document that is written while its account is moved ends at the new owner, or is refused',
    () =>
      withDocument(async ({ sql, documents, reassignment, path }) => {
        // Holds up the move and the write alike, as a write of a large document would.
        const release = await lockUsage(sql);
        const written = documents.write(path, createReservedId('document'), contentOf('B'), [1], ACTOR);
        const moved = reassignment.reassign({ from: 'one', ids: [path.accountId] }, 'two', 10, ACTOR);
        await until(async () => (await waiting(sql)) >= 2);
        await release();
        const [{ outcome }] = await Promise.all([written, moved]);
        expect(['changed', 'account_not_found']).toContain(outcome);
        const version = outcome === 'changed' ? 2 : 1;
        const [row] = await sql`
          SELECT d.owner, version, searched -> (u.searched_as || '/identity') AS searched,
            (SELECT bytes FROM document_usage WHERE owner = 'one') AS left_bytes
          FROM documents d JOIN document_usage u ON u.owner = d.owner`;
        const name = outcome === 'changed' ? 'B' : 'A';
        expect(row).toMatchObject({
          owner: 'two',
          version,
          searched: { name },
          leftBytes: 1026,
        });
        expect(await documents.find({ ...path, owner: 'two' }, null)).toMatchObject({ version });
        expect(await documents.find(path, null)).toBe('account_not_found');
      }),
    SLOW_TEST_MS,
  );

  test(
    'a first document that is not committed yet when its account is moved follows it',
    () =>
      withDocument(async ({ sql, reassignment }) => {
        const [accountId] = await insertAccounts(sql, [{ ledger: 'EUR', allowNegative: true, owner: 'one' }]);
        const written = Promise.withResolvers<void>();
        const released = Promise.withResolvers<void>();
        const writing = sql.begin(async (tx) => {
          const [row] = await tx`
            SELECT outcome FROM write_document('one', ${accountId!}, 'identity', ${createReservedId('document')}, NULL, false,
              1, '{"name": "B"}', ${SHA256}, 12, 20, 1000, ${BYTES_MAX})`;
          expect(row!.outcome).toBe('created');
          written.resolve();
          await released.promise;
        });
        await written.promise;
        const moved = reassignment.reassign({ from: 'one', ids: [accountId!] }, 'two', 10, ACTOR);
        await until(async () => (await waiting(sql)) >= 1);
        released.resolve();
        await Promise.all([writing, moved]);
        expect(await sql`SELECT owner FROM documents WHERE account_id = ${accountId!}`).toMatchObject([
          { owner: 'two' },
        ]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'a document that was validated with a former version of its kind is not written',
    () =>
      withDocument(async ({ documents, kinds, path }) => {
        const next = { ...KIND, sha256: Buffer.alloc(32, 2) };
        expect(await kinds.write('one', next, [1], ACTOR)).toMatchObject({ outcome: 'changed', version: 2 });
        const write = (kindVersion: number) => {
          const id = createReservedId('document');
          return documents.write(path, id, { ...contentOf('B'), kindVersion }, [1], ACTOR);
        };
        expect(await write(1)).toMatchObject({ outcome: 'kind_changed' });
        expect(await write(2)).toMatchObject({ outcome: 'changed', version: 2 });
      }),
    SLOW_TEST_MS,
  );

  test(
    'a posted transfer does not move documents, and does not wait for them',
    () =>
      withDocument(async ({ sql, path }) => {
        const release = await lockUsage(sql);
        await sql`UPDATE accounts SET credits_posted = credits_posted + 1, version = version + 1 WHERE id = ${path.accountId}`;
        await release();
        expect(await sql`SELECT owner FROM documents`).toMatchObject([{ owner: 'one' }]);
      }),
    SLOW_TEST_MS,
  );

  test(
    'a search reads an index whose entries are those of one owner and kind',
    () =>
      withDocument(async ({ sql }) => {
        await sql`
          INSERT INTO documents (id, account_id, kind, owner, version, bytes, searched)
          SELECT overlay(gen_random_uuid()::text PLACING '8a71-a505' FROM 15)::uuid, gen_random_uuid(), 'identity', 'two', 1,
            0, '{"two/identity": {"name": "A"}}' FROM generate_series(1, 5000)`;
        await sql`ANALYZE documents`;
        const [{ name }] = await sql<[{ name: string }]>`
          SELECT searched_as || '/identity' AS name FROM document_usage WHERE owner = 'one'`;
        const plan = await planOf(sql, { [name]: { name: 'A' } });
        expect(plan).toContain('documents_by_content');
        const { count } = await sql`
          SELECT FROM documents WHERE searched @> ${sql.json({ [name]: { name: 'A' } })}`;
        expect(count).toBe(1);
      }),
    SLOW_TEST_MS,
  );
});

/** How many other sessions wait for a lock. */
async function waiting(sql: Sql): Promise<number> {
  const [row] = await sql<[{ count: number }]>`
    SELECT count(*) AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
  return row.count;
}

/** Locks the usage of the first owner, as its writes do. Returns what unlocks it. */
async function lockUsage(sql: Sql): Promise<() => Promise<void>> {
  const locked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const locking = sql.begin(async (tx) => {
    await tx`SELECT FROM document_usage WHERE owner = 'one' FOR UPDATE`;
    locked.resolve();
    await released.promise;
  });
  await locked.promise;
  return async () => {
    released.resolve();
    await locking;
  };
}
