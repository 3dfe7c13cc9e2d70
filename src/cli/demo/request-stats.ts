/** Outcomes of the requests of one period, as their callers saw them. */
export interface Tally {
  /** 2xx. */
  served: number;
  /** 429: Atlas is overloaded. */
  refused: number;
  /** 503: a dependency is unavailable. */
  unavailable: number;
  /** 504: the request took too long. */
  timedOut: number;
  /** The connection was refused or cut; the outcome of the request is unknown. */
  disconnected: number;
  /** Any other response: always a bug. */
  wrong: number;
  slowestMs: number;
}

const WRONG_KEPT_MAX = 3;

export function emptyTally(): Tally {
  return { served: 0, refused: 0, unavailable: 0, timedOut: 0, disconnected: 0, wrong: 0, slowestMs: 0 };
}

/** Adds the counts of `part` to `total`. */
export function addTally(total: Tally, part: Tally): void {
  for (const name of ['served', 'refused', 'unavailable', 'timedOut', 'disconnected', 'wrong'] as const)
    total[name] += part[name];
  total.slowestMs = Math.max(total.slowestMs, part.slowestMs);
}

/** Returns how many requests failed. A 429 is not a failure. */
export function failuresOf({ unavailable, timedOut, disconnected, wrong }: Tally): number {
  return unavailable + timedOut + disconnected + wrong;
}

/** Counts the outcomes of requests. */
export class RequestStats {
  /** When the last request failed, or 0. A 429 is not a failure. */
  lastFailureMs = 0;
  /** The first few responses that are bugs. */
  readonly wrong: string[] = [];
  #tally = emptyTally();
  #lastServedMs = performance.now();
  #longestGapMs = 0;

  /** Records a response. Status 0 stands for none. */
  record(status: number, startMs: number, body: string): void {
    const nowMs = performance.now();
    this.#tally.slowestMs = Math.max(this.#tally.slowestMs, nowMs - startMs);
    if (status === 200 || status === 201) {
      this.#tally.served++;
      this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastServedMs);
      this.#lastServedMs = nowMs;
      return;
    }
    if (status === 429) {
      this.#tally.refused++;
      return;
    }
    this.lastFailureMs = nowMs;
    if (status === 503) this.#tally.unavailable++;
    else if (status === 504) this.#tally.timedOut++;
    else if (status === 0) this.#tally.disconnected++;
    else {
      this.#tally.wrong++;
      if (this.wrong.length < WRONG_KEPT_MAX) this.wrong.push(`${status} ${body}`);
    }
  }

  /** Returns what was recorded since the last call. */
  takeTally(): Tally {
    const taken = this.#tally;
    this.#tally = emptyTally();
    return taken;
  }

  /** Returns the longest time without a served request, up to the last one or, while requests are sent, up to now. */
  longestGapMs(isSending: boolean): number {
    return Math.max(this.#longestGapMs, isSending ? performance.now() - this.#lastServedMs : 0);
  }
}
