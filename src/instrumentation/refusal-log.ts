import type { Exchange } from '../envelope/exchange.ts';
import { boundedByCaller, type Logger, logDropsOf, shareOf } from './logger.ts';

/** Returns the owner of the key that a request was sent with, if it was verified lately, and its public ID. */
export type CallerOf = (request: Request) => { readonly owner?: string; readonly keyId?: string };

// Lines of one host in a second, by what was refused. Payments and failures have their own, so that they are all found
// even while everything is refused, up to thousands a second; of the rest, a sample of each code.
const HOST_LINES = { payment: 2000, failure: 1000, refusal: 200 } as const;
const HOST_LINES_OF_CODE = 20;
const LINES_OF_CODE_MIN = 5;
// One owner, or one address without a key, must not take the lines of all others.
const SHARE_OF_CALLER = 0.5;
// Of a batch that was posted, except for these items.
const ITEMS_REFUSED = 'items_refused';
const SECOND_MS = 1000;
const INTERVAL_MS = 10_000;

type Kind = keyof typeof HOST_LINES;
const KINDS = Object.keys(HOST_LINES) as Kind[];

/** What one second allows of a kind, and what was used of it. */
class Quota {
  readonly #linesMax: number;
  readonly #linesOfCodeMax: number;
  readonly #ofCode = new Map<string, number>();
  /** By caller, and by caller and code. */
  readonly #ofCaller = new Map<string, number>();
  #lines = 0;

  constructor(linesMax: number, linesOfCodeMax: number) {
    this.#linesMax = linesMax;
    this.#linesOfCodeMax = linesOfCodeMax;
  }

  /** Whether there may be room for a line: the cheap question, for every refusal. */
  hasRoom(code: string): boolean {
    return this.#lines < this.#linesMax && countOf(this.#ofCode, code) < this.#linesOfCodeMax;
  }

  /** Takes the room for one line. Returns false if the caller, unless it is unknown, has used its share. */
  take(code: string, caller: string): boolean {
    if (caller !== '') {
      const ofBoth = `${code} ${caller}`;
      if (
        countOf(this.#ofCaller, caller) >= this.#linesMax * SHARE_OF_CALLER ||
        countOf(this.#ofCaller, ofBoth) >= this.#linesOfCodeMax * SHARE_OF_CALLER
      )
        return false;
      increase(this.#ofCaller, caller);
      increase(this.#ofCaller, ofBoth);
    }
    this.#lines++;
    increase(this.#ofCode, code);
    return true;
  }

  reset(): void {
    this.#lines = 0;
    this.#ofCode.clear();
    this.#ofCaller.clear();
  }
}

function countOf(counts: Map<string, number>, name: string): number {
  return counts.get(name) ?? 0;
}

function increase(counts: Map<string, number>, name: string): void {
  counts.set(name, countOf(counts, name) + 1);
}

/**
 * Logs refused and failed requests, one line each under its request ID, within bounds per second. Those without a line
 * are counted, and the counts logged at intervals. A refusal beyond the bounds costs two comparisons and a count.
 */
export class RefusalLog {
  readonly #logger: Logger;
  readonly #callerOf: CallerOf;
  readonly #quotas: Readonly<Record<Kind, Quota>>;
  readonly #drops: { sampled: number };
  readonly #unlogged = new Map<string, number>();
  #secondEndMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;

  /** `processes` share the bounds of the host. */
  constructor(logger: Logger, callerOf: CallerOf, processes: number) {
    this.#logger = boundedByCaller(logger);
    this.#callerOf = callerOf;
    this.#drops = logDropsOf(logger);
    const ofCode = Math.max(LINES_OF_CODE_MIN, shareOf(HOST_LINES_OF_CODE, processes));
    this.#quotas = Object.fromEntries(
      KINDS.map((kind) => {
        const linesMax = shareOf(HOST_LINES[kind], processes);
        return [kind, new Quota(linesMax, kind === 'refusal' ? ofCode : linesMax)];
      }),
    ) as Record<Kind, Quota>;
  }

  /** Logs a response with an error, or with items that were refused. */
  log(exchange: Exchange, status: number, durationMs: number, request: Request): void {
    const nowMs = exchange.startMs + durationMs;
    if (nowMs >= this.#secondEndMs) this.#startSecond(nowMs);
    const code = codeOf(exchange, status);
    const kind = kindOf(exchange, status);
    const quota = this.#quotas[kind];
    if (!quota.hasRoom(code)) {
      this.#count(kind, code);
      return;
    }
    const { owner, keyId } = exchange.principal ?? this.#callerOf(request);
    const { clientAddress } = exchange;
    if (!quota.take(code, owner ?? addressOf(kind, clientAddress))) {
      this.#count(kind, code);
      return;
    }
    const { requestId, route, refusedItems, traceparent } = exchange;
    const fields = {
      requestId,
      ...(traceparent !== '' && { traceparent }),
      owner,
      keyId,
      ...(clientAddress !== '' && { clientAddress }),
      method: route.method,
      endpoint: route.pattern,
      status,
      code,
      ...(refusedItems !== null && { refusedItems }),
      durationMs: Math.round(durationMs * 100) / 100,
    };
    this.#logger.info(fields, status >= 500 ? 'request failed' : 'request refused');
  }

  /** Logs the counts of the requests without a line since the last call, if there are any. */
  summarize(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#unlogged.size === 0) return;
    const unlogged = Object.fromEntries(this.#unlogged);
    this.#unlogged.clear();
    this.#logger.info({ unlogged }, 'more requests were refused or failed than are logged one by one');
  }

  #startSecond(nowMs: number): void {
    this.#secondEndMs = nowMs + SECOND_MS;
    for (const kind of KINDS) this.#quotas[kind].reset();
  }

  #count(kind: Kind, code: string): void {
    this.#drops.sampled++;
    const name = kind === 'payment' ? `payment ${code}` : code;
    increase(this.#unlogged, name);
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => this.summarize(), INTERVAL_MS);
    this.#timer.unref();
  }
}

/** The caller without a verified key. Failures and payments are each found, wherever they come from. */
function addressOf(kind: Kind, clientAddress: string): string {
  return kind === 'refusal' && clientAddress !== '' ? `from ${clientAddress}` : '';
}

/** The code of the problem, or what else was wrong. */
function codeOf({ problem, refusedItems }: Exchange, status: number): string {
  if (problem !== '') return problem;
  return refusedItems === null ? String(status) : ITEMS_REFUSED;
}

/** Only payments use the ledger as their resource. */
function kindOf({ route }: Exchange, status: number): Kind {
  if (route.resource === 'ledger') return 'payment';
  return status >= 500 ? 'failure' : 'refusal';
}
