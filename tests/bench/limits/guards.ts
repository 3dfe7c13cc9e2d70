import { openPostgres, type Sql } from '../../../src/adapters/postgres/postgres.ts';

export type Guard = 'counter' | 'serializable' | 'read committed';

const SESSIONS = 10;
const FAR = 1_000_000_000_000;
const NEAR = 50;
const TRIES = 20;
const CONFLICT = '40001';

/** Opens sessions on new tables, with one limit. */
async function open(url: string, most: number): Promise<Sql> {
  const sql = openPostgres({ url, connectionsMax: SESSIONS, timeoutSeconds: 30 });
  await sql.unsafe(`
    DROP TABLE IF EXISTS guarded_payments, guarded_counters;
    CREATE TABLE guarded_counters (id int PRIMARY KEY, used bigint NOT NULL, most bigint NOT NULL, CHECK (used <= most));
    CREATE TABLE guarded_payments (group_id int NOT NULL, paid_at timestamptz NOT NULL DEFAULT clock_timestamp(), amount bigint NOT NULL);
    CREATE INDEX ON guarded_payments (group_id, paid_at);
    INSERT INTO guarded_counters VALUES (1, 0, ${most})`);
  return sql;
}

/** Pays 1 if the limit allows it. Returns false on a conflict. */
async function pay(sql: Sql, guard: Guard, most: number): Promise<boolean> {
  try {
    await sql.begin(guard === 'serializable' ? 'isolation level serializable' : '', (tx) =>
      guard === 'counter'
        ? tx`
          WITH taken AS (UPDATE guarded_counters SET used = used + 1 WHERE id = 1 AND used < most RETURNING id)
          INSERT INTO guarded_payments (group_id, amount) SELECT id, 1 FROM taken`
        : tx`
          INSERT INTO guarded_payments (group_id, amount) SELECT 1, 1
           WHERE (SELECT coalesce(sum(amount), 0) FROM guarded_payments
                   WHERE group_id = 1 AND paid_at >= date_trunc('day', clock_timestamp())) < ${most}`,
    );
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === CONFLICT) return false;
    throw error;
  }
}

/** Measures payments that a limit far away allows. */
export async function measureGuard(
  url: string,
  guard: Guard,
  seconds: number,
): Promise<{ perSecond: number; repeated: number }> {
  const sql = await open(url, FAR);
  let [done, repeated] = [0, 0];
  const end = performance.now() + seconds * 1000;
  const session = async () => {
    while (performance.now() < end) {
      if (await pay(sql, guard, FAR)) done++;
      else repeated++;
    }
  };
  await Promise.all(Array.from({ length: SESSIONS }, session));
  await sql.end({ timeout: 5 });
  return { perSecond: done / seconds, repeated: repeated / done };
}

/** Returns what passed beyond a limit of 50, if one of the sessions has another guard. */
export async function anomaliesOf(url: string, guard: Guard, other: Guard): Promise<number> {
  const sql = await open(url, NEAR);
  const session = async (_: unknown, nth: number) => {
    for (let n = 0; n < TRIES; n++) {
      while (!(await pay(sql, nth === 0 ? other : guard, NEAR)));
    }
  };
  await Promise.all(Array.from({ length: SESSIONS }, session));
  const [row] = await sql<[{ paid: number }]>`SELECT count(*)::int AS paid FROM guarded_payments`;
  await sql.end({ timeout: 5 });
  return Math.max(row.paid - NEAR, 0);
}
