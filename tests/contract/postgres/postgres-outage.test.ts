import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Database } from '../../../src/adapters/postgres/database.ts';
import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';
import { freshDatabase, openTestDatabase } from '../../support/database.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { isToxiproxyHere, startToxiproxy, type Toxiproxy } from '../../support/toxiproxy.ts';
import { until } from '../../support/until.ts';

const AWAY = { code: 'dependency_unavailable', retryAfterSeconds: 1 };
/** No test waits for this, so no call here fails because of the statement timeout. */
const STATEMENT_SECONDS = 60;
/** One connection, so that a call succeeds only if that connection works. */
const guarded = (url: string, connectionsMax = 1) =>
  openTestDatabase(url, { connectionsMax, timeoutSeconds: STATEMENT_SECONDS });
const isClosed = ({ dependency }: Database) => dependency.state === 'closed';
const one = (db: Database, signal?: AbortSignal) =>
  db.query((sql) => sql<{ one: number }[]>`SELECT 1 AS one`, { signal });

/** Calls until a call succeeds. */
async function untilAnswered(db: Database): Promise<void> {
  await until(() =>
    one(db).then(
      () => true,
      (error) => {
        expect(error).toMatchObject(AWAY);
        return false;
      },
    ),
  );
}

/** Runs work on its own database, with another connection to observe the server. */
async function withPool(
  url: string,
  connectionsMax: number,
  work: (db: Database, beside: Sql) => Promise<void>,
) {
  const db = guarded(url, connectionsMax);
  const beside = openPostgres({ url, connectionsMax: 1, timeoutSeconds: 10 });
  try {
    await work(db, beside);
  } finally {
    await Promise.all([db.end({ timeout: 1 }), beside.end({ timeout: 1 })]);
  }
}

/** Waits until a statement with this text runs that did not start at `before`. Returns when it started. */
function untilRunning(beside: Sql, text: string, before = ''): Promise<string> {
  return until(async () => {
    const [row] = await beside<{ start: string }[]>`
      SELECT query_start::text AS start FROM pg_stat_activity
      WHERE state = 'active' AND query LIKE ${`%${text}%`} AND pid <> pg_backend_pid()`;
    return row?.start !== before && row?.start;
  });
}

/** Waits until no statement with this text runs. */
async function untilGone(beside: Sql, text: string): Promise<void> {
  await until(async () => {
    const running = await beside`
      SELECT FROM pg_stat_activity
      WHERE state = 'active' AND query LIKE ${`%${text}%`} AND pid <> pg_backend_pid()`;
    return running.length === 0;
  });
}

test('nothing listens: every call fails, and after five failures the breaker opens', async () => {
  const db = guarded('postgres://nobody@127.0.0.1:1/none');
  for (let call = 0; call < 5; call++) await expect(one(db)).rejects.toMatchObject(AWAY);
  expect(db.dependency.state).toBe('open');
  await expect(one(db)).rejects.toMatchObject({ ...AWAY, cause: { name: 'BreakerOpen' } });
  await expect(db.transaction(async () => 'never')).rejects.toMatchObject(AWAY);
  await expect(db.dependency.ping()).rejects.toThrow();
  expect(db.dependency.stats().outcomes).toMatchObject({ failure: 5, refused_open: 2, ok: 0 });
  await db.end({ timeout: 1 });
});

test('a server that is out of connections is available: open connections keep working', async () => {
  const url = new URL(await freshDatabase());
  const beside = openPostgres({ url: url.href, connectionsMax: 1, timeoutSeconds: 10 });
  await beside.unsafe(`CREATE ROLE of_few LOGIN PASSWORD 'few' CONNECTION LIMIT 2`);
  const db = guarded(Object.assign(url, { username: 'of_few', password: 'few' }).href, 10);
  await one(db);
  const calls = Array.from({ length: 10 }, () => db.query((sql) => sql`SELECT pg_sleep(0.2)`));
  const ended = await Promise.allSettled(calls);
  const refused = ended.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
  expect(refused.length).toBeGreaterThan(5);
  for (const { reason } of refused) expect(reason).toMatchObject({ ...AWAY, cause: { code: '53300' } });
  expect(db.dependency.stats()).toMatchObject({ state: 'closed', outcomes: { failure: 0 } });
  await one(db);
  await Promise.all([db.end({ timeout: 1 }), beside.end({ timeout: 1 })]);
});

describe('behind a network that fails', () => {
  if (!isToxiproxyHere()) return;
  let toxiproxy: Toxiproxy;
  let url = '';
  beforeAll(async () => {
    [toxiproxy, url] = [await startToxiproxy(), await freshDatabase()];
  }, START_TIMEOUT_MS);
  afterAll(() => toxiproxy.stop());

  test('that refuses: the breaker opens, and closes without a call once the network works again', async () => {
    const proxy = await toxiproxy.proxy(url);
    const db = guarded(proxy.url, 3);
    await one(db);
    await proxy.disable();
    await until(async () => {
      await expect(one(db)).rejects.toMatchObject(AWAY);
      return !isClosed(db);
    });
    await proxy.enable();
    await until(() => isClosed(db));
    expect([...(await one(db))]).toEqual([{ one: 1 }]);
    await db.end({ timeout: 1 });
  });

  test('that is silent: waiting calls fail long before the statement timeout', async () => {
    const proxy = await toxiproxy.proxy(url);
    const db = guarded(proxy.url, 3);
    await one(db);
    await proxy.add({ type: 'timeout', timeoutMs: 0 });
    const waiting = [one(db), one(db), db.transaction((tx) => tx.query((sql) => sql`SELECT 2`)), one(db)];
    for (const { status, reason } of (await Promise.allSettled(waiting)) as PromiseRejectedResult[])
      expect({ status, reason }).toMatchObject({ status: 'rejected', reason: AWAY });
    expect(db.dependency.state).toBe('open');
    // Running calls were cut off, so their slots are free again.
    await until(() => db.dependency.stats().inFlight === 0);
    expect(db.dependency.stats()).toMatchObject({ waiting: 0, abandoned: 0 });
    await proxy.heal();
    await untilAnswered(db);
    await db.end({ timeout: 1 });
  });

  test('that is slow: the breaker stays closed, because the probe succeeds', async () => {
    const proxy = await toxiproxy.proxy(url);
    await withPool(proxy.url, 2, async (db) => {
      const { dependency } = db;
      await one(db);
      // Longer than the silence limit and a probe.
      await db.query((sql) => sql`SELECT pg_sleep(2.5)`);
      expect(dependency.state).toBe('closed');
      expect(dependency.stats().outcomes).toMatchObject({ ok: 2, failure: 0, timeout: 0 });
    });
  });
});

describe('a connection', () => {
  let url = '';
  beforeAll(async () => {
    url = await freshDatabase();
  }, START_TIMEOUT_MS);

  test('that is dead leaves the pool, and only its own call fails', () =>
    withPool(url, 1, async (db, beside) => {
      const { dependency } = db;
      const [backend] = await db.query((sql) => sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`);
      process.kill(backend.pid, 'SIGSTOP');
      try {
        const patience = new AbortController();
        const stuck = one(db, patience.signal);
        // It is sent one turn of the event loop later.
        await new Promise(setImmediate);
        patience.abort(new Error('the deadline'));
        await expect(stuck).rejects.toMatchObject({ code: 'deadline_exceeded' });
        const [next] = await db.query((sql) => sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`);
        expect(next.pid).not.toBe(backend.pid);
        expect([...(await one(db))]).toHaveLength(1);
        expect(await db.transaction(async () => 'done')).toBe('done');
        expect(dependency.state).toBe('closed');
        await beside`SELECT 1`;
      } finally {
        process.kill(backend.pid, 'SIGCONT');
      }
    }));

  test('is not lost by a call that is aborted in the same turn of the event loop', () =>
    withPool(url, 1, async (db) => {
      for (let call = 0; call < 3; call++) {
        const patience = new AbortController();
        const given = one(db, patience.signal);
        patience.abort(new Error('the deadline'));
        await expect(given).rejects.toMatchObject({ code: 'deadline_exceeded' });
      }
      expect([...(await one(db))]).toEqual([{ one: 1 }]);
    }));

  test('may receive a late cancel of the previous call: the statement is rerun', () =>
    withPool(url, 1, async (db, beside) => {
      const [{ pid }] = await db.query((sql) => sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`);
      const hit = db.query((sql) => sql<{ done: boolean }[]>`SELECT pg_sleep(1) IS NOT NULL AS done`);
      await untilRunning(beside, 'AS done');
      await beside`SELECT pg_cancel_backend(${pid})`;
      expect([...(await hit)]).toEqual([{ done: true }]);

      const hitTwice = db.query((sql) => sql`SELECT pg_sleep(50) AS twice`);
      hitTwice.catch(() => {});
      const start = await untilRunning(beside, 'AS twice');
      await beside`SELECT pg_cancel_backend(${pid})`;
      await untilRunning(beside, 'AS twice', start);
      await beside`SELECT pg_cancel_backend(${pid})`;
      await expect(hitTwice).rejects.toMatchObject({ code: 'deadline_exceeded' });
    }));

  test('is kept when a statement is aborted during its second run', () =>
    withPool(url, 1, async (db, beside) => {
      const backend = () => db.query((sql) => sql<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`);
      const [{ pid }] = await backend();
      const caller = new AbortController();
      const hit = db.query((sql) => sql`SELECT pg_sleep(50) AS again`, { signal: caller.signal });
      hit.catch(() => {});
      const start = await untilRunning(beside, 'AS again');
      await beside`SELECT pg_cancel_backend(${pid})`;
      await untilRunning(beside, 'AS again', start);
      caller.abort(new Error('the deadline'));
      await expect(hit).rejects.toMatchObject({ code: 'deadline_exceeded' });
      // Longer than a canceled statement may take to end before its pool is replaced.
      await db.query((sql) => sql`SELECT pg_sleep(2.5)`);
      expect((await backend())[0].pid).toBe(pid);
    }));

  test('has a bounded queue, which aborted calls leave', () =>
    withPool(url, 1, async (db, beside) => {
      const { dependency } = db;
      const patience = new AbortController();
      const calls = Array.from({ length: 1025 }, () =>
        db.query((sql) => sql`SELECT pg_sleep(30) AS busy`, { signal: patience.signal }),
      );
      await untilRunning(beside, 'AS busy');
      await expect(one(db)).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
      expect(dependency.stats()).toMatchObject({ inFlight: 1, waiting: 1024 });
      patience.abort(new Error('the deadline'));
      for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');
      // The running query was canceled on the server too, and no queued one was started.
      await untilGone(beside, 'AS busy');
      await one(db);
      expect(dependency.state).toBe('closed');
    }));
});
