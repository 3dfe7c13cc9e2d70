import type { DemoClient } from './client.ts';
import type { FileTally } from './file-load.ts';
import type { Audit } from './ledger-audit.ts';
import type { Tally } from './load.ts';

/** What Atlas says of itself at a moment; null where it does not answer. */
export interface Inside {
  /** Circuit breakers that are not closed, such as `postgresql open`. */
  readonly breakers: readonly string[] | null;
  /** Rows of the outbox that have not been sent: a transfer is one. */
  readonly outboxRows: number | null;
}

const OUTBOX_ROWS = /^atlas_relay_backlog_rows(?:\{.*\})? (\d+)/m;
/** Those that are not closed. */
const BREAKER = /^atlas_circuit_breaker_state\{.*?dependency="([^"]+)".*?\} ([12])$/gm;
const STATES = ['closed', 'half-open', 'open'];

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
  ['doubled', 7],
] as const;

/** Asks the page of metrics, which answers for all workers and waits for nothing that has failed. */
export async function lookInside(client: DemoClient): Promise<Inside> {
  try {
    const text = await client.readText('/metrics');
    const breakers = [...text.matchAll(BREAKER)].map(([, name, state]) => `${name} ${STATES[Number(state)]}`);
    return { breakers, outboxRows: Number(OUTBOX_ROWS.exec(text)?.[1]) };
  } catch {
    return { breakers: null, outboxRows: null };
  }
}

export function headLine(withFiles: boolean): string {
  const cells = COLUMNS.map(([name, width]) => name.padStart(width));
  return [...cells, ...(withFiles ? ['files stored/read/failed'] : []), ' breakers'].join('  ');
}

/** One second as a line under {@link headLine}. */
export function secondLine(
  second: number,
  phase: string,
  tally: Tally,
  files: FileTally | null,
  { breakers, outboxRows }: Inside,
  audit: Audit | null,
): string {
  const { served, full, unavailable, tooLate, cut, wrong, slowestMs } = tally;
  const values = [
    `${second} s`,
    phase,
    served,
    full || '·',
    unavailable || '·',
    tooLate || '·',
    cut || '·',
    `${Math.round(slowestMs)} ms`,
    outboxRows ?? '–',
    audit?.lost ?? '–',
    audit?.doubled ?? '–',
  ];
  const cells = values.map((value, i) => String(value).padStart(COLUMNS[i]![1]));
  const filesText = files && `${files.stored}/${files.read}/${files.failed}`.padStart(24);
  const state = breakers === null ? 'no answer' : breakers.join(', ') || 'closed';
  const bugs = wrong > 0 ? `, ${wrong} WRONG ANSWERS` : '';
  return [...cells, ...(filesText === null ? [] : [filesText]), ` ${state}${bugs}`].join('  ');
}
