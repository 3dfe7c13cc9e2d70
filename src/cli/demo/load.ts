import { sleep } from '../../utils/sleep.ts';
import type { DemoClient } from './client.ts';

/** How the requests of one second ended, as their callers saw it. */
export interface Tally {
  /** 2xx. */
  served: number;
  /** 429: Atlas is full. */
  full: number;
  /** 503: something behind it cannot be reached. */
  unavailable: number;
  /** 504: it took too long. */
  tooLate: number;
  /** The connection was refused or cut, and nobody knows what became of the request. */
  cut: number;
  /** Any other answer: always a bug. */
  wrong: number;
  slowestMs: number;
}

/** How many transfers were begun, and of how many Atlas has said that they are posted. */
export interface LoadState {
  readonly begun: number;
  readonly acknowledged: number;
}

export interface Load {
  state(): LoadState;
  /** The references of the transfers of which Atlas has said that they are posted. */
  readonly acknowledged: ReadonlySet<string>;
  /** What was seen since the last call. */
  takeTally(): Tally;
  /** When the last request failed, or 0 (429 is no failure); and the longest time in which none was served. */
  readonly lastFailureMs: number;
  readonly longestGapMs: number;
  /** What the answers that are bugs said: the first few. */
  readonly wrong: readonly string[];
  /** Begins nothing new, repeats what is open until it is settled, for `maxMs` at most. Answers what stayed open. */
  finish(maxMs: number): Promise<number>;
}

const CALLERS = 8;
const PAUSE_MS = 60;
const RETRY_MS = 250;
const WRONG_TOLD_MAX = 3;
// Counted among the answers that no status excuses.
const NOT_WHAT_WAS_POSTED = -1;

/** The reference of the n-th transfer, which is its key too: nobody else posts under it. */
const referenceOf = (n: number) => `demo-${n}`;

const emptyTally = (): Tally => ({
  served: 0,
  full: 0,
  unavailable: 0,
  tooLate: 0,
  cut: 0,
  wrong: 0,
  slowestMs: 0,
});

/**
 * Some callers post one transfer after the other from the bank to its customers, each under a key of its own, and
 * repeat it under that key until they know that it is posted, as a client of a payment API has to. Then they read it.
 */
export function startLoad(client: DemoClient, bank: string, customers: readonly string[]): Load {
  const stopping = new AbortController();
  const abandoning = new AbortController();
  let begun = 0;
  const acknowledged = new Set<string>();
  let tally = emptyTally();
  let lastServedMs = performance.now();
  let lastFailureMs = 0;
  let longestGapMs = 0;
  const wrong: string[] = [];

  function count(status: number, startMs: number, body: string): void {
    const nowMs = performance.now();
    tally.slowestMs = Math.max(tally.slowestMs, nowMs - startMs);
    if (status === 200 || status === 201) {
      tally.served++;
      longestGapMs = Math.max(longestGapMs, nowMs - lastServedMs);
      lastServedMs = nowMs;
      return;
    }
    if (status === 429) {
      tally.full++;
      return;
    }
    lastFailureMs = nowMs;
    if (status === 503) tally.unavailable++;
    else if (status === 504) tally.tooLate++;
    else if (status === 0) tally.cut++;
    else {
      tally.wrong++;
      if (wrong.length < WRONG_TOLD_MAX) wrong.push(`${status} ${body}`);
    }
  }

  const transferOf = (n: number) => ({
    debitAccountId: bank,
    creditAccountId: customers[n % customers.length]!,
    amount: 100 + (n % 900),
    reference: referenceOf(n),
  });

  /** Repeats the transfer until it is known to be posted. Answers its id, or null when nobody waits any more. */
  async function settle(n: number): Promise<string | null> {
    while (!abandoning.signal.aborted) {
      const startMs = performance.now();
      const { status, body } = await client.send('POST', '/v1/transfers', transferOf(n), referenceOf(n));
      count(status, startMs, body);
      if (status === 200 || status === 201) {
        acknowledged.add(referenceOf(n));
        return (JSON.parse(body) as { id: string }).id;
      }
      await sleep(RETRY_MS * (0.5 + Math.random()), abandoning.signal);
    }
    return null;
  }

  /** Reads a transfer, once. An answer that is not what was posted, or that there is none, is a bug. */
  async function readBack(n: number, id: string): Promise<void> {
    const startMs = performance.now();
    const { status, body } = await client.send('GET', `/v1/transfers/${id}`);
    const isRight = status !== 200 || isSubset(transferOf(n), JSON.parse(body));
    count(isRight ? status : NOT_WHAT_WAS_POSTED, startMs, body);
  }

  async function call(): Promise<void> {
    while (!stopping.signal.aborted) {
      const n = begun++;
      const id = await settle(n);
      if (id !== null && !stopping.signal.aborted) await readBack(n, id);
      await sleep(PAUSE_MS * (0.5 + Math.random()), stopping.signal);
    }
  }

  const calling = Promise.all(Array.from({ length: CALLERS }, call));
  return {
    state: () => ({ begun, acknowledged: acknowledged.size }),
    acknowledged,
    takeTally() {
      const taken = tally;
      tally = emptyTally();
      return taken;
    },
    get lastFailureMs() {
      return lastFailureMs;
    },
    get longestGapMs() {
      return Math.max(longestGapMs, stopping.signal.aborted ? 0 : performance.now() - lastServedMs);
    },
    wrong,
    async finish(maxMs) {
      stopping.abort();
      const timer = setTimeout(() => abandoning.abort(), maxMs);
      await calling;
      clearTimeout(timer);
      return begun - acknowledged.size;
    },
  };
}

function isSubset(
  part: Readonly<Record<string, unknown>>,
  whole: Readonly<Record<string, unknown>>,
): boolean {
  return Object.entries(part).every(([name, value]) => whole[name] === value);
}
