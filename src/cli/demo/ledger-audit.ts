import type { DemoClient } from './client.ts';
import type { Load } from './load.ts';

/** What is missing and what is there twice. Both must be 0. */
export interface Audit {
  readonly lost: number;
  readonly doubled: number;
}

/** What the ledger and the event log hold after a demo, compared with what its callers were told. */
export interface FinalAudit extends Audit {
  readonly transfers: number;
  /** Discrepancies that Atlas finds in its own books. */
  readonly discrepancies: number;
  readonly events: number;
  readonly eventsExpected: number;
  /** Events whose sequence is not the one after the last. */
  readonly eventsOutOfOrder: number;
}

const PAGE = 200;
const EVENTS_MAX_MS = 60_000;
const EVENTS_EVERY_MS = 200;

interface Transfer {
  readonly reference: string | null;
}
interface Account {
  readonly version: number;
}
interface Event {
  readonly sequence: string;
}

/**
 * What a glance at the bank's account tells while the load runs: each transfer is one of its versions, so it has no
 * fewer than were acknowledged before the glance and no more than were begun by the end of it. Null when it cannot be
 * read.
 */
export async function auditNow(client: DemoClient, bank: string, load: Load): Promise<Audit | null> {
  const { acknowledged } = load.state();
  try {
    const { version } = await client.read<Account>(`/v1/accounts/${bank}`);
    const { begun } = load.state();
    return { lost: Math.max(0, acknowledged - version), doubled: Math.max(0, version - begun) };
  } catch {
    return null;
  }
}

/** Reads every transfer and every event of the bank. Throws an Error when Atlas does not answer. */
export async function auditAll(
  client: DemoClient,
  bank: string,
  acknowledged: ReadonlySet<string>,
): Promise<FinalAudit> {
  const references: (string | null)[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const path: string = `/v1/accounts/${bank}/transfers?limit=${PAGE}${cursor && `&cursor=${cursor}`}`;
    const page: { transfers: Transfer[]; nextCursor: string | null } = await client.readPatiently(path);
    references.push(...page.transfers.map(({ reference }) => reference));
    cursor = page.nextCursor;
  }
  const there = new Set(references);
  const books = await client.readPatiently<{ discrepancies: unknown[] }>('/v1/ledger/verification');
  // The account was opened before its first transfer: one event more.
  const eventsExpected = references.length + 1;
  const sequences = await readSequences(client, bank, eventsExpected);
  return {
    lost: [...acknowledged].filter((reference) => !there.has(reference)).length,
    doubled: references.length - there.size,
    transfers: references.length,
    discrepancies: books.discrepancies.length,
    events: sequences.length,
    eventsExpected,
    eventsOutOfOrder: sequences.filter((sequence, i) => sequence !== i).length,
  };
}

/** The sequences of the bank's events in the order of the log, once they are all there; or what is there by then. */
async function readSequences(client: DemoClient, bank: string, expected: number): Promise<number[]> {
  const untilMs = performance.now() + EVENTS_MAX_MS;
  const sequences: number[] = [];
  for (let cursor = ''; ; ) {
    const path = `/v1/events?key=${bank}&limit=${PAGE}${cursor && `&cursor=${cursor}`}`;
    const page: { events: Event[]; nextCursor: string | null; resumeCursor: string } =
      await client.readPatiently(path);
    sequences.push(...page.events.map(({ sequence }) => Number(sequence)));
    cursor = page.resumeCursor;
    if (page.nextCursor !== null) continue;
    if (sequences.length >= expected || performance.now() > untilMs) return sequences;
    await Bun.sleep(EVENTS_EVERY_MS);
  }
}
