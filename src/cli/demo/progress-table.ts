import type { AtlasMetrics } from './atlas-metrics.ts';
import type { FileTally } from './file-load.ts';
import type { Audit } from './ledger-audit.ts';
import type { Tally } from './request-stats.ts';

/** One second of a demo. */
export interface Second {
  /** Seconds since the start. */
  readonly time: number;
  readonly phase: string;
  readonly tally: Tally;
  /** Null if the demo stores no files. */
  readonly files: FileTally | null;
  readonly metrics: AtlasMetrics;
  /** Null if the account could not be read. */
  readonly audit: Audit | null;
}

const COLUMNS = [
  ['time', 6],
  ['', 6],
  ['served', 6],
  ['429', 4],
  ['503', 4],
  ['504', 4],
  ['cut', 4],
  ['slowest', 8],
  ['outbox', 6],
  ['lost', 4],
  ['duplicated', 10],
] as const;

/** Returns the heading of the rows. */
export function progressHead(withFiles: boolean): string {
  const cells = COLUMNS.map(([name, width]) => name.padStart(width));
  return [...cells, ...(withFiles ? ['files stored/read/failed'] : []), ' breakers'].join('  ');
}

/** Returns one second as a row under {@link progressHead}. */
export function progressRow({ time, phase, tally, files, metrics, audit }: Second): string {
  const { served, refused, unavailable, timedOut, disconnected, wrong, slowestMs } = tally;
  const { breakers, outboxRows } = metrics;
  const values = [
    `${time} s`,
    phase,
    served,
    refused || '·',
    unavailable || '·',
    timedOut || '·',
    disconnected || '·',
    `${Math.round(slowestMs)} ms`,
    outboxRows ?? '–',
    audit?.lost ?? '–',
    audit?.duplicated ?? '–',
  ];
  const cells = values.map((value, i) => String(value).padStart(COLUMNS[i]![1]));
  const filesText = files && `${files.stored}/${files.read}/${files.failed}`.padStart(24);
  const state = breakers === null ? 'no response' : breakers.join(', ') || 'closed';
  const bugs = wrong > 0 ? `, ${wrong} WRONG RESPONSES` : '';
  return [...cells, ...(filesText === null ? [] : [filesText]), ` ${state}${bugs}`].join('  ');
}
