// A compressed response takes milliseconds of a thread of the platform, and there are about as many as cores.
const RESPONSES_MAX = 16;
const BYTES_MAX = 8_388_608;
/** What one owner may use: enough to be fast, and never everything. */
const OWNER_SHARE = 0.5;

/** What became of a response that could have been compressed. */
type Outcome = 'compressed' | 'full' | 'late';

interface Use {
  responses: number;
  bytes: number;
}

/** Bounds what a worker compresses at a time, in total and for each owner. Callers without a key are one owner. */
export class CompressionBudget {
  readonly #isLoopLate: () => boolean;
  readonly #total: Use = { responses: 0, bytes: 0 };
  // Bounded by the responses in total: owners that use nothing are removed.
  readonly #byOwner = new Map<string | null, Use>();
  readonly #outcomes: Record<Outcome, number> = { compressed: 0, full: 0, late: 0 };

  /** Nothing is compressed while `isLoopLate` returns true: CPU time is short then, and bandwidth is not. */
  constructor(isLoopLate: () => boolean) {
    this.#isLoopLate = isLoopLate;
  }

  /** Responses by outcome since the start. */
  get outcomes(): Readonly<Record<Outcome, number>> {
    return this.#outcomes;
  }

  /** Takes a slot for a response, or returns null: then it is sent uncompressed. */
  take(owner: string | null): CompressionSlot | null {
    if (this.#isLoopLate()) return this.#skip('late');
    const mine = this.#byOwner.get(owner) ?? { responses: 0, bytes: 0 };
    if (this.#total.responses >= RESPONSES_MAX || mine.responses >= RESPONSES_MAX * OWNER_SHARE)
      return this.#skip('full');
    this.#byOwner.set(owner, mine);
    this.#total.responses++;
    mine.responses++;
    let held = 0;
    return {
      take: (bytes) => {
        if (this.#total.bytes + bytes > BYTES_MAX || mine.bytes + bytes > BYTES_MAX * OWNER_SHARE) {
          this.#skip('full');
          return false;
        }
        held = bytes;
        this.#total.bytes += bytes;
        mine.bytes += bytes;
        return true;
      },
      release: (isCompressed) => {
        if (isCompressed) this.#outcomes.compressed++;
        this.#total.responses--;
        this.#total.bytes -= held;
        mine.bytes -= held;
        if (--mine.responses === 0) this.#byOwner.delete(owner);
      },
    };
  }

  #skip(outcome: 'full' | 'late'): null {
    this.#outcomes[outcome]++;
    return null;
  }
}

/** The right to compress one response. */
export interface CompressionSlot {
  /** Called once the size of the body is known. Returns whether it may be compressed. */
  take(bytes: number): boolean;
  /** Called exactly once. */
  release(isCompressed: boolean): void;
}
