import type { Sql } from '../../../../src/adapters/postgres/postgres.ts';
import type { SqlTag } from '../../../../src/adapters/postgres/query.ts';
import type { Anomaly, Session } from './sessions.ts';

/** Creates the rows that the anomalies are about: two accounts of 100 each, and numbers of two classes. */
export async function createRows(sql: Sql): Promise<void> {
  await sql.unsafe(`
    DROP TABLE IF EXISTS pots, numbers;
    CREATE TABLE pots (id text PRIMARY KEY, balance int NOT NULL);
    INSERT INTO pots VALUES ('x', 100), ('y', 100);
    CREATE TABLE numbers (class int NOT NULL, value int NOT NULL);
    INSERT INTO numbers VALUES (1, 10), (1, 20), (2, 100), (2, 200);`);
}

const read = async ({ sql }: { sql: SqlTag }, id: 'x' | 'y') =>
  (await sql<[{ balance: number }]>`SELECT balance FROM pots WHERE id = ${id}`)[0].balance;
const write = ({ sql }: Session, id: 'x' | 'y', balance: number) =>
  sql`UPDATE pots SET balance = ${balance} WHERE id = ${id}`;
const add = ({ sql }: Session, id: 'x' | 'y', amount: number) =>
  sql`UPDATE pots SET balance = balance + ${amount} WHERE id = ${id}`;
const commit = ({ sql }: Session) => sql`COMMIT`;
const total = async (session: Session) => (await read(session, 'x')) + (await read(session, 'y'));
const count = async ({ sql }: Session) =>
  (await sql<[{ n: number }]>`SELECT count(*)::int AS n FROM pots WHERE balance >= 100`)[0].n;
const sumOf = async ({ sql }: Session, of: number) =>
  (await sql<[{ sum: number }]>`SELECT sum(value)::int AS sum FROM numbers WHERE class = ${of}`)[0].sum;
const insert = ({ sql }: Session, of: number, value: number) =>
  sql`INSERT INTO numbers VALUES (${of}, ${value})`;

/** Every anomaly of docs/architecture/transactions.md, by the name that it has there. */
export const ANOMALIES: Readonly<Record<string, Anomaly>> = {
  async 'dirty write'({ a, b, beside }) {
    await write(a, 'x', 1);
    const { ended } = await b.blocked(write(b, 'x', 2));
    await write(a, 'y', 1);
    await commit(a);
    await ended;
    await write(b, 'y', 2);
    await commit(b);
    return (await read({ sql: beside }, 'x')) !== (await read({ sql: beside }, 'y'));
  },

  async 'dirty read'({ a, b }) {
    await write(a, 'x', 0);
    return (await read(b, 'x')) === 0;
  },

  async 'non-repeatable read'({ a, b }) {
    const before = await read(a, 'x');
    await write(b, 'x', 50);
    await commit(b);
    return (await read(a, 'x')) !== before;
  },

  async phantom({ a, b }) {
    const before = await count(a);
    await b.sql`INSERT INTO pots VALUES ('z', 500)`;
    await commit(b);
    return (await count(a)) !== before;
  },

  async 'read skew'({ a, b }) {
    const x = await read(a, 'x');
    await add(b, 'x', -50);
    await add(b, 'y', 50);
    await commit(b);
    return x + (await read(a, 'y')) !== 200;
  },

  async 'lost update'({ a, b, beside }) {
    const [seenByA, seenByB] = [await read(a, 'x'), await read(b, 'x')];
    await write(a, 'x', seenByA + 10);
    await commit(a);
    await write(b, 'x', seenByB + 10);
    await commit(b);
    return (await read({ sql: beside }, 'x')) !== 120;
  },

  async 'lost update of a statement that adds'({ a, b, beside }) {
    await add(a, 'x', 10);
    const { ended } = await b.blocked(add(b, 'x', 10));
    await commit(a);
    await ended;
    await commit(b);
    return (await read({ sql: beside }, 'x')) !== 120;
  },

  // Both may take 150 while there are 200 in all, and take them from different rows.
  async 'write skew'({ a, b }) {
    const [mayA, mayB] = [(await total(a)) >= 150, (await total(b)) >= 150];
    if (mayA) await add(a, 'x', -150);
    if (mayB) await add(b, 'y', -150);
    await commit(a);
    await commit(b);
    return true;
  },

  // Each inserts the sum of what the other one inserts into: in any order, the second sees what the first inserted.
  async 'serialization anomaly'({ a, b }) {
    const [ones, twos] = [await sumOf(a, 1), await sumOf(b, 2)];
    await insert(a, 2, ones);
    await insert(b, 1, twos);
    await commit(a);
    await commit(b);
    return ones === 30 && twos === 300;
  },

  // Fekete, O'Neil, O'Neil, A Read-Only Transaction Anomaly Under Snapshot Isolation (2004). The report of `c` shows the
  // deposit of `a`, but `b`, which comes after what is in the report, still takes the fee for not having seen it.
  async 'read-only anomaly'({ a, b, c }) {
    const seenByB = await total(b);
    await add(a, 'y', 20);
    await commit(a);
    const report = [await read(c, 'x'), await read(c, 'y')];
    await commit(c);
    const fee = seenByB < 210 ? 1 : 0;
    await add(b, 'x', -10 - fee);
    await commit(b);
    return fee === 1 && report[0] === 100 && report[1] === 120;
  },

  async deadlock({ a, b }) {
    for (const { sql } of [a, b]) await sql`SET LOCAL deadlock_timeout = '20ms'`;
    await add(a, 'x', 1);
    await add(b, 'y', 1);
    const { ended } = await a.blocked(add(a, 'y', 1));
    await Promise.all([ended, add(b, 'x', 1)]);
    return true;
  },
};
