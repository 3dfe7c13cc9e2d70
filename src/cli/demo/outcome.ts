import type { Fault } from './faults.ts';
import type { FinalAudit } from './ledger-audit.ts';
import type { Tally } from './load.ts';

/** What is posted waits for a moment in the outbox also on a calm day; so many rows wait for something else. */
export const OUTBOX_BUSY_ROWS = 100;

/** All that a demo has found out. */
export interface Outcome {
  readonly totals: Tally;
  /** Transfers of which nobody knows whether they were posted, though they were repeated to the end. */
  readonly open: number;
  readonly audit: FinalAudit;
  readonly files: {
    readonly stored: number;
    readonly lost: number;
    readonly failed: number;
    readonly recoveryMs: number;
  } | null;
  /** From the end of the fault (or from the fault, where Atlas has to help itself) to the last request that failed. */
  readonly recoveryMs: number;
  readonly longestGapMs: number;
  /** Most rows that were seen to wait in the outbox, and how long after the fault many last did. */
  readonly outbox: { readonly rowsMax: number; readonly drainedMs: number };
  readonly wrong: readonly string[];
}

/** Whether everything that Atlas promises has held. */
export function isKept({ totals, open, audit, files }: Outcome): boolean {
  const { lost, doubled, discrepancies, eventsOutOfOrder, events, eventsExpected } = audit;
  const broken = [
    lost,
    doubled,
    discrepancies,
    eventsOutOfOrder,
    eventsExpected - events,
    totals.wrong,
    open,
  ];
  return [...broken, files?.lost ?? 0].every((count) => count === 0);
}

export function verdict(fault: Fault, outcome: Outcome): string {
  const { totals, open, audit, files, recoveryMs, longestGapMs, wrong } = outcome;
  const rows: [string, string][] = [
    ['expected', fault.expect],
    ['seen', seenText(totals)],
    ['longest gap', `${seconds(longestGapMs)} without a served request`],
    ['recovery', recoveryText(fault, totals, recoveryMs)],
    [
      'transfers',
      `${audit.transfers} in the ledger, ${audit.lost} lost, ${audit.doubled} doubled, ${open} unknown`,
    ],
    ['books', audit.discrepancies === 0 ? 'agree with themselves' : `${audit.discrepancies} DISCREPANCIES`],
    ['outbox', outboxText(outcome.outbox)],
    [
      'events',
      `${audit.events} of ${audit.eventsExpected} of the bank's account, ${audit.eventsOutOfOrder} out of order`,
    ],
  ];
  if (files) {
    const last =
      files.recoveryMs > 0 ? `, the last ${seconds(files.recoveryMs)} after the fault was over` : '';
    rows.push(['files', `${files.stored} stored, ${files.lost} lost; ${files.failed} calls failed${last}`]);
  }
  if (wrong.length > 0) rows.push(['wrong', wrong.join('\n')]);
  const text = rows.map(([name, value]) => `  ${name.padEnd(12)} ${value}`).join('\n');
  const heading = isKept(outcome) ? 'Nothing was lost, and nothing happened twice.' : 'A PROMISE WAS BROKEN.';
  return `${heading}\n\n${text}`;
}

function seenText({ served, full, unavailable, tooLate, cut, wrong }: Tally): string {
  const failures = [
    full > 0 && `${full} × 429`,
    unavailable > 0 && `${unavailable} × 503`,
    tooLate > 0 && `${tooLate} × 504`,
    cut > 0 && `${cut} cut off`,
    wrong > 0 && `${wrong} WRONG`,
  ].filter(Boolean);
  return failures.length === 0
    ? `${served} requests served, none failed`
    : `${served} requests served; ${failures.join(', ')}, transfers were repeated with their key until served`;
}

function recoveryText(fault: Fault, totals: Tally, recoveryMs: number): string {
  if (totals.unavailable + totals.tooLate + totals.cut + totals.wrong === 0) return 'none needed';
  if (recoveryMs <= 0) return 'no request failed after the fault was over';
  return `the last request failed ${seconds(recoveryMs)} after ${fault.healsItself ? 'the fault' : 'the fault was over'}`;
}

function outboxText({ rowsMax, drainedMs }: Outcome['outbox']): string {
  if (rowsMax < OUTBOX_BUSY_ROWS) return 'never more than a moment behind';
  const drained = drainedMs > 0 ? `${seconds(drainedMs)} after the fault` : 'before the fault was over';
  return `${rowsMax} rows waited at most, sent ${drained}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
