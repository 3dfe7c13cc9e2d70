import type { DemoClient } from './client.ts';
import type { Load } from './load.ts';

/** Transfers that are missing and transfers posted twice. Both must be 0. */
export interface Audit {
  readonly lost: number;
  readonly duplicated: number;
}

/** The ledger and the event log after a demo, compared with what was acknowledged to callers. */
export interface FinalAudit extends Audit {
  readonly transfers: number;
  /** Discrepancies found by the ledger verification of Atlas. */
  readonly discrepancies: number;
  readonly events: number;
  readonly eventsExpected: number;
  /** Events whose sequence does not follow the one before. */
  readonly eventsOutOfOrder: number;
}

const PAGE_SIZE = 200;
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
 * Audits the bank's account while the load runs. Each transfer is one version of it, so there are at least as many as
 * were acknowledged before the read, and at most as many as were started by its end. Null if it cannot be read.
 */
export async function auditNow(client: DemoClient, bank: string, load: Load): Promise<Audit | null> {
  const { acknowledged } = load.state();
  try {
    const { version } = await client.read<Account>(`/v1/accounts/${bank}`);
    const { started } = load.state();
    return { lost: Math.max(0, acknowledged - version), duplicated: Math.max(0, version - started) };
  } catch {
    return null;
  }
}

/** Reads every transfer and every event of the bank. Throws an Error if Atlas does not respond. */
export async function auditAll(
  client: DemoClient,
  bank: string,
  acknowledged: ReadonlySet<string>,
): Promise<FinalAudit> {
  const references: (string | null)[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const path: string = `/v1/accounts/${bank}/transfers?limit=${PAGE_SIZE}${cursor && `&cursor=${cursor}`}`;
    const page: { transfers: Transfer[]; nextCursor: string | null } = await client.readWithRetries(path);
    references.push(...page.transfers.map(({ reference }) => reference));
    cursor = page.nextCursor;
  }
  const posted = new Set(references);
  const verification = await client.readWithRetries<{ discrepancies: unknown[] }>('/v1/ledger/verification');
  // One more for the opening of the account.
  const eventsExpected = references.length + 1;
  const sequences = await readSequences(client, bank, eventsExpected);
  return {
    lost: [...acknowledged].filter((reference) => !posted.has(reference)).length,
    duplicated: references.length - posted.size,
    transfers: references.length,
    discrepancies: verification.discrepancies.length,
    events: sequences.length,
    eventsExpected,
    eventsOutOfOrder: sequences.filter((sequence, i) => sequence !== i).length,
  };
}

/** Returns the sequences of the bank's events in log order. Waits until all are there, for a minute at most. */
async function readSequences(client: DemoClient, bank: string, expected: number): Promise<number[]> {
  const untilMs = performance.now() + EVENTS_MAX_MS;
  const sequences: number[] = [];
  for (let cursor = ''; ; ) {
    const path = `/v1/events?key=${bank}&limit=${PAGE_SIZE}${cursor && `&cursor=${cursor}`}`;
    const page: { events: Event[]; nextCursor: string | null; resumeCursor: string } =
      await client.readWithRetries(path);
    sequences.push(...page.events.map(({ sequence }) => Number(sequence)));
    cursor = page.resumeCursor;
    if (page.nextCursor !== null) continue;
    if (sequences.length >= expected || performance.now() > untilMs) return sequences;
    await Bun.sleep(EVENTS_EVERY_MS);
  }
}
