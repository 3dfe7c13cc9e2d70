import { describe, expect, test } from 'bun:test';
import { FAULTS } from '../../../../src/cli/demo/faults.ts';
import { isKept, type Outcome, verdict } from '../../../../src/cli/demo/outcome.ts';

const totals = { served: 90, full: 0, unavailable: 7, tooLate: 0, cut: 0, wrong: 0, slowestMs: 12 };
const audit = {
  lost: 0,
  doubled: 0,
  transfers: 45,
  discrepancies: 0,
  events: 46,
  eventsExpected: 46,
  eventsOutOfOrder: 0,
};
const files = { stored: 3, lost: 0, failed: 2, recoveryMs: 400 };
const outbox = { rowsMax: 0, drainedMs: 0 };
const good: Outcome = {
  totals,
  open: 0,
  audit,
  files,
  recoveryMs: 900,
  longestGapMs: 4000,
  outbox,
  wrong: [],
};

describe('the verdict of a demo', () => {
  const fault = FAULTS.find(({ name }) => name === 'postgres-down')!;

  test('is good when only refusals were seen', () => {
    expect(isKept(good)).toBe(true);
    expect(verdict(fault, good)).toStartWith('Nothing was lost, and nothing happened twice.\n');
    expect(verdict(fault, good)).toContain('7 × 503');
    expect(verdict(fault, good)).toContain('the last request failed 0.9 s after the fault was over');
  });

  test.each<[string, Outcome]>([
    ['a transfer is lost', { ...good, audit: { ...audit, lost: 1 } }],
    ['a transfer is there twice', { ...good, audit: { ...audit, doubled: 1 } }],
    ['the books do not agree', { ...good, audit: { ...audit, discrepancies: 1 } }],
    ['an event is missing', { ...good, audit: { ...audit, events: 45 } }],
    ['an event is there twice', { ...good, audit: { ...audit, events: 47 } }],
    ['an event is out of order', { ...good, audit: { ...audit, eventsOutOfOrder: 1 } }],
    ['a file is lost', { ...good, files: { ...files, lost: 1 } }],
    ['a request was never settled', { ...good, open: 1 }],
    ['an answer was wrong', { ...good, totals: { ...totals, wrong: 1 }, wrong: ['500 oops'] }],
  ])('is bad when %s', (_, outcome) => {
    expect(isKept(outcome)).toBe(false);
    expect(verdict(fault, outcome)).toStartWith('A PROMISE WAS BROKEN.\n');
    expect(verdict(fault, outcome)).not.toContain('Nothing was lost');
  });

  test('tells how far the events were behind', () => {
    const text = verdict(fault, { ...good, outbox: { rowsMax: 714, drainedMs: 2100 } });
    expect(text).toContain('714 rows waited at most, sent 2.1 s after the fault');
  });
});
