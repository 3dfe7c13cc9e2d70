import { smooth } from '../utils/smooth.ts';
import { LEVELS } from './priority.ts';

// Demand above the cutoff must still exceed capacity, or permits would sit idle.
const MARGIN = 1.25;
const SMOOTHING = 0.2;
// No cutoff below this many arrivals per second: too few to be a sample.
const ARRIVALS_MIN = 20;

/**
 * Finds the level below which requests are refused immediately while permits run short: the highest level above which
 * demand still exceeds capacity (the priority histogram of Cinnamon, Uber 2023). Arrivals count whether admitted or
 * not, so a refusal does not influence the next decision.
 */
export class Cutoff {
  readonly #arrivals = new Float64Array(LEVELS);
  readonly #perSecond = new Float64Array(LEVELS);
  #admitted = 0;
  #servedPerSecond = 0;
  #level = 0;

  /** The level of this worker alone; 0 refuses nothing. */
  get level(): number {
    return this.#level;
  }

  get arrivalsPerSecond(): number {
    return this.#perSecond.reduce((sum, count) => sum + count, 0);
  }

  arrived(level: number): void {
    this.#arrivals[level]!++;
  }

  admitted(): void {
    this.#admitted++;
  }

  /** Clears the level and the histogram: one shortage says nothing about the next. */
  reset(): void {
    this.#level = 0;
    this.#admitted = 0;
    this.#servedPerSecond = 0;
    this.#arrivals.fill(0);
    this.#perSecond.fill(0);
  }

  /** Updates the level. `short`: requests were refused for lack of permits since the last call. */
  update(elapsedSeconds: number, short: boolean): void {
    for (let level = 0; level < LEVELS; level++) {
      this.#perSecond[level] = smooth(
        this.#perSecond[level]!,
        this.#arrivals[level]! / elapsedSeconds,
        SMOOTHING,
      );
    }
    this.#servedPerSecond = smooth(this.#servedPerSecond, this.#admitted / elapsedSeconds, SMOOTHING);
    this.#arrivals.fill(0);
    this.#admitted = 0;
    this.#level = short || this.#level > 0 ? this.#find() : 0;
  }

  #find(): number {
    if (this.arrivalsPerSecond < ARRIVALS_MIN) return 0;
    let above = 0;
    for (let level = LEVELS - 1; level > 0; level--) {
      above += this.#perSecond[level]!;
      if (above >= this.#servedPerSecond * MARGIN) return level;
    }
    return 0;
  }
}
