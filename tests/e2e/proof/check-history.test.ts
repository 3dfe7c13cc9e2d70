import { describe, expect, test } from 'bun:test';
import { checkHistory } from './check-history.ts';
import type { HistoryCall, HistoryLine, HistoryTransfer, ReadValue, RecordedHistory } from './history.ts';

const TRANSFER = { f: 'transfer', debit: 0, credit: 1, amount: 5 } as const;
const READ = { f: 'read', account: 1 } as const;
const empty: ReadValue = {
  version: 0,
  debitsPosted: 0,
  creditsPosted: 0,
  debitsPending: 0,
  creditsPending: 0,
};
const after = (transfers: number): ReadValue => ({
  ...empty,
  version: transfers,
  creditsPosted: 5 * transfers,
});

let calls = 0;
/** A call with its start and end, and how it ended. */
function call(
  what: HistoryCall,
  startNs: number,
  endNs: number,
  type: HistoryLine['type'] = 'ok',
  value?: ReadValue,
): readonly [HistoryLine, HistoryLine] {
  const begin = { process: calls, op: `op-${calls++}`, call: what };
  return [
    { ...begin, type: 'invoke', timeNs: startNs },
    { ...begin, type, timeNs: endNs, ...(value && { value }) },
  ];
}

/** The history in which these transfers took effect, in this order. */
function historyOf(
  recorded: readonly (readonly [HistoryLine, HistoryLine])[],
  effective: readonly (readonly [HistoryLine, HistoryLine])[],
): RecordedHistory {
  const transfers = effective.map(([{ op }]): HistoryTransfer => {
    return { id: op, reference: op, debitAccountId: 'a', creditAccountId: 'b', amount: 5, createdAt: '' };
  });
  const lines = recorded.flat().sort((one, other) => one.timeNs - other.timeNs);
  return { accountIds: ['a', 'b'], lines, transfersOf: [transfers, transfers] };
}

describe('the check of a history', () => {
  test('accepts calls that overlap, in either order', () => {
    const [one, other] = [call(TRANSFER, 0, 10), call(TRANSFER, 5, 15)];
    const read = call(READ, 8, 20, 'ok', after(1));
    for (const order of [
      [one, other],
      [other, one],
    ])
      expect(checkHistory(historyOf([one, other, read], order)).violations).toEqual([]);
  });

  test('accepts that a call without a known outcome takes effect late, or never', () => {
    const unknown = call(TRANSFER, 0, 10, 'info');
    const [before, later] = [call(READ, 20, 30, 'ok', empty), call(READ, 40, 50, 'ok', after(1))];
    expect(checkHistory(historyOf([unknown, before, later], [unknown])).violations).toEqual([]);
    expect(checkHistory(historyOf([unknown, before], [])).violations).toEqual([]);
  });

  test.each([
    ['a transfer that was acknowledged is missing', () => historyOf([call(TRANSFER, 0, 10)], [])],
    [
      'a transfer that was refused took effect',
      () => {
        const refused = call(TRANSFER, 0, 10, 'fail');
        return historyOf([refused], [refused]);
      },
    ],
    ['a transfer took effect that no call asked for', () => historyOf([], [call(TRANSFER, 0, 10)])],
    [
      'a read misses what was acknowledged before it began',
      () => {
        const done = call(TRANSFER, 0, 10);
        return historyOf([done, call(READ, 20, 30, 'ok', empty)], [done]);
      },
    ],
    [
      'a read has what began after its end',
      () => {
        const late = call(TRANSFER, 40, 50);
        return historyOf([call(READ, 20, 30, 'ok', after(1)), late], [late]);
      },
    ],
    [
      'a read goes back in time',
      () => {
        const slow = call(TRANSFER, 0, 100);
        const reads = [call(READ, 20, 30, 'ok', after(1)), call(READ, 40, 50, 'ok', empty)];
        return historyOf([slow, ...reads], [slow]);
      },
    ],
    [
      'transfers took effect against the order in which they were acknowledged',
      () => {
        const [first, second] = [call(TRANSFER, 0, 10), call(TRANSFER, 20, 30)];
        return historyOf([first, second], [second, first]);
      },
    ],
    [
      'sums do not belong to their version',
      () => {
        const done = call(TRANSFER, 0, 10);
        return historyOf([done, call(READ, 20, 30, 'ok', { ...after(1), creditsPosted: 6 })], [done]);
      },
    ],
  ])('notices that %s', (_, broken) => {
    expect(checkHistory(broken()).violations.length).toBeGreaterThan(0);
  });
});
