import type { Fault } from './faults.ts';
import type { FinalAudit } from './ledger-audit.ts';
import { failuresOf, type Tally } from './request-stats.ts';

/** A few rows always wait in the outbox for a moment; from this many on, there is a backlog. */
export const OUTBOX_BUSY_ROWS = 100;

/** The result of a demo. */
export interface Outcome {
  readonly totals: Tally;
  /** Transfers whose fate is unknown, although they were retried to the end. */
  readonly unknown: number;
  readonly audit: FinalAudit;
  readonly files: {
    readonly stored: number;
    readonly lost: number;
    readonly failed: number;
    readonly recoveryMs: number;
  } | null;
  /** From the end of the fault (or from the fault itself, if nothing removes it) to the last failed request. */
  readonly recoveryMs: number;
  readonly longestGapMs: number;
  /** The largest backlog of the outbox, and how long after the fault there was one. */
  readonly outbox: { readonly rowsMax: number; readonly drainedMs: number };
  readonly wrong: readonly string[];
}

/** Returns whether everything that Atlas promises held. */
export function holdsPromises({ totals, unknown, audit, files }: Outcome): boolean {
  const { lost, duplicated, discrepancies, eventsOutOfOrder, events, eventsExpected } = audit;
  const violations = [
    lost,
    duplicated,
    discrepancies,
    eventsOutOfOrder,
    eventsExpected - events,
    totals.wrong,
    unknown,
  ];
  return [...violations, files?.lost ?? 0].every((count) => count === 0);
}

/** Returns the outcome as a heading and a list. */
export function describeOutcome(fault: Fault, outcome: Outcome): string {
  const { totals, unknown, audit, files, recoveryMs, longestGapMs, wrong } = outcome;
  const rows: [string, string][] = [
    ['expected', fault.expect],
    ['seen', tallyText(totals)],
    ['longest gap', `${seconds(longestGapMs)} with no request served`],
    ['recovery', recoveryText(fault, totals, recoveryMs)],
    [
      'transfers',
      `${audit.transfers} in the ledger, ${audit.lost} lost, ${audit.duplicated} duplicated, ${unknown} unknown`,
    ],
    ['ledger', audit.discrepancies === 0 ? 'consistent' : `${audit.discrepancies} DISCREPANCIES`],
    ['outbox', outboxText(outcome.outbox)],
    [
      'events',
      `${audit.events} of ${audit.eventsExpected} for the bank's account, ${audit.eventsOutOfOrder} out of order`,
    ],
  ];
  if (files) {
    const last = files.recoveryMs > 0 ? `, the last ${seconds(files.recoveryMs)} after the fault ended` : '';
    rows.push(['files', `${files.stored} stored, ${files.lost} lost; ${files.failed} calls failed${last}`]);
  }
  if (wrong.length > 0) rows.push(['wrong', wrong.join('\n')]);
  const text = rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`).join('\n');
  const heading = holdsPromises(outcome) ? 'Nothing was lost or duplicated.' : 'A PROMISE WAS BROKEN.';
  return `${heading}\n\n${text}`;
}

function tallyText({ served, refused, unavailable, timedOut, disconnected, wrong }: Tally): string {
  const others = [
    refused > 0 && `${refused} × 429`,
    unavailable > 0 && `${unavailable} × 503`,
    timedOut > 0 && `${timedOut} × 504`,
    disconnected > 0 && `${disconnected} disconnected`,
    wrong > 0 && `${wrong} WRONG`,
  ].filter(Boolean);
  return others.length === 0
    ? `${served} requests served, none failed`
    : `${served} requests served; ${others.join(', ')}; transfers were retried with their idempotency key`;
}

function recoveryText(fault: Fault, totals: Tally, recoveryMs: number): string {
  if (failuresOf(totals) === 0) return 'none needed';
  if (recoveryMs <= 0) return 'no request failed after the fault ended';
  return `the last request failed ${seconds(recoveryMs)} after ${fault.selfHeals ? 'the fault' : 'the fault ended'}`;
}

function outboxText({ rowsMax, drainedMs }: Outcome['outbox']): string {
  if (rowsMax < OUTBOX_BUSY_ROWS) return 'never more than a moment behind';
  const drained = drainedMs > 0 ? `${seconds(drainedMs)} after the fault` : 'before the fault ended';
  return `up to ${rowsMax} rows waiting, drained ${drained}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
