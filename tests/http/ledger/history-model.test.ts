import { afterAll, beforeAll, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  type EntryResource,
  readCsv,
  readEntries,
  readJson,
  readStatement,
} from '../../support/history-steps.ts';
import { openAccount, postBatch, type TransferResource } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const ACCOUNTS = 3;
const RUNS = 12;
const MINUTE_MS = 60_000;
/** Few times of effect, so that many are equal; one is hardly before the postings, the others are long before. */
const ago = fc.constantFrom(
  null,
  null,
  5,
  MINUTE_MS,
  MINUTE_MS + 1,
  26 * 60 * MINUTE_MS,
  30 * 24 * 60 * MINUTE_MS,
);
const order = fc.record({
  debit: fc.nat({ max: ACCOUNTS - 1 }),
  step: fc.integer({ min: 1, max: ACCOUNTS - 1 }),
  amount: fc.integer({ min: 1, max: 1_000_000 }),
  ago,
});
type Order = typeof order extends fc.Arbitrary<infer T> ? T : never;
const batches = fc.array(fc.array(order, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 });
const plan = fc.record({
  batches,
  limit: fc.integer({ min: 1, max: 5 }),
  picks: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
});

type Posted = TransferResource & { readonly effectiveAt: string };
type Time = 'createdAt' | 'effectiveAt';
type Known = Pick<EntryResource, 'version' | 'signedAmount' | 'createdAt' | 'effectiveAt'>;

async function post(ids: readonly string[], orders: readonly Order[], baseMs: number): Promise<Posted[]> {
  const transfers = orders.map(({ debit, step, amount, ago: agoMs }) => ({
    debitAccountId: ids[debit]!,
    creditAccountId: ids[(debit + step) % ACCOUNTS]!,
    amount,
    ...(agoMs !== null && { effectiveAt: new Date(baseMs - agoMs).toISOString() }),
  }));
  const response = await postBatch(atlas, { transfers });
  expect(response.status).toBe(200);
  const { results } = (await response.json()) as { results: { transfer: Posted }[] };
  return results.map(({ transfer }) => transfer);
}

/** The model: the entries of an account are its transfers, numbered as posted. */
function entriesOf(id: string, posted: readonly Posted[]): Known[] {
  return posted
    .filter(({ debitAccountId, creditAccountId }) => debitAccountId === id || creditAccountId === id)
    .map(({ debitAccountId, amount, createdAt, effectiveAt }, i) => ({
      version: i + 1,
      signedAmount: debitAccountId === id ? -amount : amount,
      createdAt,
      effectiveAt,
    }));
}

const inOrder = (entries: readonly Known[], time: Time) =>
  [...entries].sort((a, b) => Date.parse(a[time]) - Date.parse(b[time]) || a.version - b.version);
const sum = (entries: readonly Known[]) =>
  entries.reduce((total, { signedAmount }) => total + signedAmount, 0);

/** The statement of a period, by the model. */
function statementOf(entries: readonly Known[], time: Time, from: string | null, to: string | null) {
  const before = entries.filter((entry) => from !== null && entry[time] < from);
  const within = inOrder(entries, time).filter(
    (entry) => (from === null || entry[time] >= from) && (to === null || entry[time] < to),
  );
  let balance = sum(before);
  const opening = balance;
  const rows = within.map((entry) => {
    balance += entry.signedAmount;
    return { ...entry, balance };
  });
  return { opening, rows, closing: balance };
}

const known = ({ version, signedAmount, createdAt, effectiveAt, balance }: EntryResource) => ({
  version,
  signedAmount,
  createdAt,
  effectiveAt,
  balance,
});

async function checkBalances(
  id: string,
  entries: readonly Known[],
  moments: readonly string[],
): Promise<void> {
  for (const [time, parameter] of [
    ['createdAt', 'at'],
    ['effectiveAt', 'effectiveAt'],
  ] as const) {
    for (const moment of moments) {
      const found = await readJson<{ balance: number }>(atlas, `/v1/accounts/${id}/balance`, {
        [parameter]: moment,
      });
      expect(found.balance).toBe(sum(entries.filter((entry) => entry[time] <= moment)));
    }
  }
}

test(
  'entries, past balances, and statements are those of a model, whatever is back-dated, also between two pages',
  () =>
    fc.assert(
      fc.asyncProperty(plan, async ({ batches: drawn, limit, picks }) => {
        const ids: string[] = [];
        for (let i = 0; i < ACCOUNTS; i++) ids.push((await openAccount(atlas)).id);
        const baseMs = Date.now();
        const posted: Posted[] = [];
        for (const orders of drawn) posted.push(...(await post(ids, orders, baseMs)));
        const times = [
          ...new Set(posted.flatMap(({ createdAt, effectiveAt }) => [createdAt, effectiveAt])),
        ].sort();
        const near = times.flatMap((time) => [new Date(Date.parse(time) - 1).toISOString(), time]);
        const pick = (i: number) => near[picks[i]! % near.length]!;
        for (const id of ids) {
          const entries = entriesOf(id, posted);
          const recorded = statementOf(entries, 'createdAt', null, null);
          const listed = await readEntries(atlas, id, { limit, sort: 'version' });
          expect(listed.map(known)).toEqual(recorded.rows);
          expect(await readEntries(atlas, id, { limit })).toEqual(listed.toReversed());
          await checkBalances(id, entries, [pick(0), pick(1), pick(2), near[0]!, near.at(-1)!]);

          const [from, to] = [pick(2), pick(3)].sort() as [string, string];
          const within = listed.filter(({ createdAt }) => createdAt >= from && createdAt < to);
          expect(await readEntries(atlas, id, { limit, from, to, sort: 'version' })).toEqual(within);
          for (const [time, by] of [
            ['createdAt', 'recorded'],
            ['effectiveAt', 'effective'],
          ] as const) {
            for (const period of [{ from, to }, {}, { from }]) {
              const expected = statementOf(
                entriesOf(id, posted),
                time,
                period.from ?? null,
                period.to ?? null,
              );
              const query = { ...period, by };
              const csv = await readCsv(atlas, id, query);
              expect([csv[1]![6], csv.at(-1)![6]]).toEqual([`${expected.opening}`, `${expected.closing}`]);
              expect(csv.slice(2, -1).map((line) => [line[1], line[6]])).toEqual(
                expected.rows.map(({ version, balance }) => [`${version}`, `${balance}`]),
              );
              // Once per statement: each makes the next ones longer.
              let isLater = false;
              const later = async () => {
                if (isLater) return;
                isLater = true;
                posted.push(...(await post(ids, [{ debit: 0, step: 1, amount: 1, ago: MINUTE_MS }], baseMs)));
              };
              const read = await readStatement(atlas, id, { ...query, limit }, later);
              expect(read.entries.map(known)).toEqual(expected.rows);
              expect([read.openingBalance, read.closingBalance]).toEqual([
                expected.opening,
                expected.closing,
              ]);
            }
          }
        }
      }),
      { numRuns: RUNS },
    ),
  120_000,
);
