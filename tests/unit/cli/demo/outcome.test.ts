import { describe, expect, test } from 'bun:test';
import { FAULTS } from '../../../../src/cli/demo/faults.ts';
import { describeOutcome, holdsPromises, type Outcome } from '../../../../src/cli/demo/outcome.ts';

const totals = {
  served: 90,
  refused: 0,
  unavailable: 7,
  timedOut: 0,
  disconnected: 0,
  wrong: 0,
  slowestMs: 12,
};
const audit = {
  lost: 0,
  duplicated: 0,
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
  unknown: 0,
  audit,
  files,
  recoveryMs: 900,
  longestGapMs: 4000,
  outbox,
  wrong: [],
};

describe('the outcome of a demo', () => {
  const fault = FAULTS.find(({ name }) => name === 'postgres-down')!;

  test('is good if requests were only refused', () => {
    expect(holdsPromises(good)).toBe(true);
    expect(describeOutcome(fault, good)).toStartWith('Nothing was lost or duplicated.\n');
    expect(describeOutcome(fault, good)).toContain('7 × 503');
    expect(describeOutcome(fault, good)).toContain('the last request failed 0.9 s after the fault ended');
  });

  test.each<[string, Outcome]>([
    ['a transfer is lost', { ...good, audit: { ...audit, lost: 1 } }],
    ['a transfer is duplicated', { ...good, audit: { ...audit, duplicated: 1 } }],
    ['the ledger has a discrepancy', { ...good, audit: { ...audit, discrepancies: 1 } }],
    ['an event is missing', { ...good, audit: { ...audit, events: 45 } }],
    ['an event is duplicated', { ...good, audit: { ...audit, events: 47 } }],
    ['an event is out of order', { ...good, audit: { ...audit, eventsOutOfOrder: 1 } }],
    ['a file is lost', { ...good, files: { ...files, lost: 1 } }],
    ['a transfer is unknown', { ...good, unknown: 1 }],
    ['a response was wrong', { ...good, totals: { ...totals, wrong: 1 }, wrong: ['500 oops'] }],
  ])('is bad if %s', (_, outcome) => {
    expect(holdsPromises(outcome)).toBe(false);
    expect(describeOutcome(fault, outcome)).toStartWith('A PROMISE WAS BROKEN.\n');
    expect(describeOutcome(fault, outcome)).not.toContain('Nothing was lost');
  });

  test('shows how far events were behind', () => {
    const text = describeOutcome(fault, { ...good, outbox: { rowsMax: 714, drainedMs: 2100 } });
    expect(text).toContain('up to 714 rows waiting, drained 2.1 s after the fault');
  });
});
