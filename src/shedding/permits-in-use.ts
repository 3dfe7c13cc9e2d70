const RESERVED_BY_RANK = [0.04, 0.02, 0] as const;
const SHORT_UPDATES = 20;
const WANTED_RETAINED = 0.9;
const WANTED_MARGIN = 1.25;
const WANTED_MORE = 2;

/** The permits that a worker uses, whether they are too few, and how many it could use. */
export class PermitsInUse {
  #inFlight = 0;
  #peak = 0;
  #refused = 0;
  #shortUpdates = 0;
  #crowdedUpdates = 0;
  #wanted = 0;

  /** Requests that hold a permit. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether requests were refused for lack of permits in about the last second. */
  get isShort(): boolean {
    return this.#shortUpdates > 0;
  }

  /** Whether more than half of the permits were in use, or were too few, in about the last second. */
  get isCrowded(): boolean {
    return this.#crowdedUpdates > 0;
  }

  /** Permits for the peak in flight and for the requests refused for lack of permits. */
  get wanted(): number {
    return Math.ceil(this.#wanted);
  }

  /** Permits that are free for a rank, of this many. Some are reserved for higher ranks. */
  free(rank: number, limit: number): number {
    return limit - Math.round(limit * RESERVED_BY_RANK[rank]!) - this.#inFlight;
  }

  enter(): void {
    if (++this.#inFlight > this.#peak) this.#peak = this.#inFlight;
  }

  leave(): void {
    this.#inFlight--;
  }

  /** Notes that a request was refused for lack of a permit. */
  refuse(): void {
    this.#refused++;
  }

  /**
   * Call it at intervals of some tens of milliseconds, with the permits. Returns whether requests were refused since
   * the last call.
   */
  update(limit: number): boolean {
    const wasShort = this.#refused > 0;
    const wasCrowded = wasShort || this.#peak * 2 > limit;
    this.#shortUpdates = wasShort ? SHORT_UPDATES : Math.max(0, this.#shortUpdates - 1);
    this.#crowdedUpdates = wasCrowded ? SHORT_UPDATES : Math.max(0, this.#crowdedUpdates - 1);
    const used = this.#peak * WANTED_MARGIN + WANTED_MORE;
    this.#wanted = Math.max(used + this.#refused, this.#wanted * WANTED_RETAINED);
    this.#peak = this.#inFlight;
    this.#refused = 0;
    return wasShort;
  }

  /** Forgets what happened before an idle period. Requests in flight still count. */
  reset(): void {
    this.#shortUpdates = 0;
    this.#crowdedUpdates = 0;
    this.#wanted = 0;
  }
}
