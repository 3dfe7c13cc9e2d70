import { sleep } from '../../utils/sleep.ts';
import type { DemoClient } from './client.ts';
import { RequestStats, type Tally } from './request-stats.ts';

/** How many transfers were started, and how many Atlas has acknowledged as posted. */
export interface LoadState {
  readonly started: number;
  readonly acknowledged: number;
}

export interface Load {
  state(): LoadState;
  /** References of the transfers that Atlas has acknowledged as posted. */
  readonly acknowledged: ReadonlySet<string>;
  /** Returns the outcomes since the last call. */
  takeTally(): Tally;
  /** When the last request failed, or 0 (a 429 is not a failure); and the longest time without a served request. */
  readonly lastFailureMs: number;
  readonly longestGapMs: number;
  /** The first few responses that are bugs. */
  readonly wrong: readonly string[];
  /** Starts nothing new and retries unsettled transfers for up to `maxMs`. Returns how many stay unsettled. */
  finish(maxMs: number): Promise<number>;
}

const CALLERS = 8;
const PAUSE_MS = 60;
const RETRY_MS = 250;
// A status that counts as wrong, for a transfer that differs from what was posted.
const MISMATCH = -1;

/** Returns the reference of the n-th transfer, which is its idempotency key too. */
const referenceOf = (n: number) => `demo-${n}`;

/**
 * Starts callers that post one transfer after another from the bank to its customers and then read it back. As a client
 * of a payment API must, they retry a transfer under its own idempotency key until it is acknowledged.
 */
export function startLoad(client: DemoClient, bank: string, customers: readonly string[]): Load {
  const stopping = new AbortController();
  const abandoning = new AbortController();
  const stats = new RequestStats();
  const acknowledged = new Set<string>();
  let started = 0;

  const transferOf = (n: number) => ({
    debitAccountId: bank,
    creditAccountId: customers[n % customers.length]!,
    amount: 100 + (n % 900),
    reference: referenceOf(n),
  });

  /** Retries the transfer until it is acknowledged. Returns its id, or null if the load was abandoned. */
  async function settle(n: number): Promise<string | null> {
    while (!abandoning.signal.aborted) {
      const startMs = performance.now();
      const { status, body } = await client.send('POST', '/v1/transfers', transferOf(n), referenceOf(n));
      stats.record(status, startMs, body);
      if (status === 200 || status === 201) {
        acknowledged.add(referenceOf(n));
        return (JSON.parse(body) as { id: string }).id;
      }
      await sleep(RETRY_MS * (0.5 + Math.random()), abandoning.signal);
    }
    return null;
  }

  /** Reads a transfer once. A missing transfer, or one that differs from what was posted, is a bug. */
  async function readBack(n: number, id: string): Promise<void> {
    const startMs = performance.now();
    const { status, body } = await client.send('GET', `/v1/transfers/${id}`);
    const isAsPosted = status !== 200 || isSubset(transferOf(n), JSON.parse(body));
    stats.record(isAsPosted ? status : MISMATCH, startMs, body);
  }

  async function call(): Promise<void> {
    while (!stopping.signal.aborted) {
      const n = started++;
      const id = await settle(n);
      if (id !== null && !stopping.signal.aborted) await readBack(n, id);
      await sleep(PAUSE_MS * (0.5 + Math.random()), stopping.signal);
    }
  }

  const calling = Promise.all(Array.from({ length: CALLERS }, call));
  return {
    state: () => ({ started, acknowledged: acknowledged.size }),
    acknowledged,
    takeTally: () => stats.takeTally(),
    get lastFailureMs() {
      return stats.lastFailureMs;
    },
    get longestGapMs() {
      return stats.longestGapMs(!stopping.signal.aborted);
    },
    wrong: stats.wrong,
    async finish(maxMs) {
      stopping.abort();
      const timer = setTimeout(() => abandoning.abort(), maxMs);
      await calling;
      clearTimeout(timer);
      return started - acknowledged.size;
    },
  };
}

function isSubset(
  part: Readonly<Record<string, unknown>>,
  whole: Readonly<Record<string, unknown>>,
): boolean {
  return Object.entries(part).every(([name, value]) => whole[name] === value);
}
