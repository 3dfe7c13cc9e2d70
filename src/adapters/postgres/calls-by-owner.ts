import { Bulkhead, BulkheadFull } from '../../resilience/bulkhead.ts';
import { BreakerOpen } from '../../resilience/circuit-breaker.ts';
import type { CallOptions, Dependency } from '../../resilience/dependency.ts';
import { networkOf } from '../../utils/ip-address.ts';
import { partyOf } from '../../utils/party.ts';
import { callerOfSignal, type SignalCaller } from '../../utils/signal-caller.ts';
import { refusalError } from './caller-error.ts';
import { PageReads } from './page-reads.ts';

type Operation = 'query' | 'transaction' | 'snapshot';

// Shares of the connections that one owner may use at once, of which a quarter is always left to the others, and those
// of strangers of one network, who have little to ask for.
const QUERY_SHARES = { owner: 1 / 2, network: 1 / 8 };
const TRANSACTION_SHARES = { owner: 1 / 4, network: 1 / 8 };
const WAITING_MAX = 512;
// A fast reader of pages pauses for as long as it has read, so that others have at least half of the time.
const PAUSE_MS_MAX = 100;
// The guard of the dependency counts from when the call starts.
const WAIT_MS_MAX = 60_000;

/**
 * Calls PostgreSQL within the connections that one owner may use at once, so that its slow calls leave some to
 * everybody else. Callers without a key are one owner per network. The signal says whose call it is
 * ({@link callerOfSignal}). Payments are posted in batches of many owners, and are for nobody.
 */
export class CallsByOwner {
  readonly #dependency: Dependency;
  readonly #queries: Bulkheads;
  /** Apart from queries, so that one inside of a transaction never waits for other transactions. */
  readonly #transactions: Bulkheads;
  /** Of those who read large pages fast, one at a time. */
  readonly #reads = new Bulkheads(1, { owner: 1, network: 1 });
  readonly #pages = new PageReads();

  constructor(dependency: Dependency, connectionsMax: number) {
    this.#dependency = dependency;
    this.#queries = new Bulkheads(connectionsMax, QUERY_SHARES);
    this.#transactions = new Bulkheads(connectionsMax, TRANSACTION_SHARES);
  }

  /** Calls that wait for others of their owner. */
  get waiting(): number {
    return this.#queries.waiting + this.#transactions.waiting + this.#reads.waiting;
  }

  /** Like {@link Dependency.call}, but waits while too many calls of the owner run. Its own order is kept. */
  async call<T>(
    operation: Operation,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => PromiseLike<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const dependency = this.#dependency;
    const caller = signal === undefined ? null : callerOfSignal(signal);
    // An open breaker refuses the call, so it would wait in vain.
    if (caller === null || dependency.state === 'open') return dependency.call(operation, work, options);
    signal?.throwIfAborted();
    const name = nameOf(caller);
    const bulkheads = this.#bulkheadsFor(operation, name);
    const bulkhead = bulkheads.of(name, caller.principal !== null);
    const { tier = 'default', timeoutMs = WAIT_MS_MAX } = options;
    try {
      const turn = bulkhead.enter(tier, { signal, timeoutMs });
      if (turn !== null) await turn;
    } catch (error) {
      throw error instanceof BulkheadFull || error instanceof BreakerOpen ? refusalError(error) : error;
    }
    let startMs: number | null = null;
    const leave = () => {
      bulkhead.leave(tier);
      bulkheads.forgetIdle(name, bulkhead);
    };
    // Not when its caller has left: the server may go on with it for a while.
    const onEnded = () => {
      if (bulkheads === this.#reads) setTimeout(leave, Math.min(performance.now() - startMs!, PAUSE_MS_MAX));
      else leave();
    };
    const start = (aborted: AbortSignal) => {
      startMs = performance.now();
      return work(aborted);
    };
    try {
      const result = await dependency.call(operation, start, { ...options, onEnded });
      this.#pages.note(name, result);
      return result;
    } finally {
      if (startMs === null) leave();
    }
  }

  /** Rejects all that wait, as what runs may never end. Call it when the breaker opens. */
  refuseWaiting(): void {
    const reason = new BreakerOpen(this.#dependency.name);
    for (const bulkheads of [this.#queries, this.#transactions, this.#reads]) bulkheads.refuseWaiting(reason);
  }

  #bulkheadsFor(operation: Operation, name: string): Bulkheads {
    if (operation !== 'query') return this.#transactions;
    return this.#pages.isFast(name) ? this.#reads : this.#queries;
  }
}

/** The bulkheads of those who have calls. */
class Bulkheads {
  readonly #ownerMax: number;
  readonly #networkMax: number;
  readonly #byName = new Map<string, Bulkhead>();

  constructor(connectionsMax: number, shares: { readonly owner: number; readonly network: number }) {
    this.#ownerMax = Math.ceil(connectionsMax * shares.owner);
    this.#networkMax = Math.ceil(connectionsMax * shares.network);
  }

  get waiting(): number {
    return [...this.#byName.values()].reduce((sum, { waiting }) => sum + waiting, 0);
  }

  refuseWaiting(reason: unknown): void {
    for (const bulkhead of this.#byName.values()) bulkhead.refuseWaiting(reason);
  }

  /** The caller enters it at once. */
  of(name: string, isOwner: boolean): Bulkhead {
    let bulkhead = this.#byName.get(name);
    if (bulkhead === undefined) {
      const concurrencyMax = isOwner ? this.#ownerMax : this.#networkMax;
      bulkhead = new Bulkhead({ concurrencyMax, waitingMax: WAITING_MAX });
      this.#byName.set(name, bulkhead);
    }
    return bulkhead;
  }

  forgetIdle(name: string, bulkhead: Bulkhead): void {
    if (bulkhead.inFlight === 0) this.#byName.delete(name);
  }
}

// No owner has a name with a ~.
const nameOf = ({ principal, clientAddress }: SignalCaller) =>
  principal === null ? `~network ${networkOf(clientAddress)}` : partyOf(principal);
