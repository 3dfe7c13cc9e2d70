import type { PermitDemand, PermitSource, PermitStats } from './permit-source.ts';

/** A fixed share of the cap, used when no Redis is configured. */
export class StaticShare implements PermitSource {
  readonly #cap: number;
  readonly #workers: number;
  #share: number;
  #demand: (() => PermitDemand) | null = null;

  constructor(cap: number, workers: number, share: number) {
    this.#cap = cap;
    this.#workers = workers;
    this.#share = share;
  }

  limitAt(_nowMs: number): number {
    return this.#share;
  }

  cutoffAt(_nowMs: number): null {
    return null;
  }

  runShort(): void {}

  observe(read: () => PermitDemand): void {
    this.#demand = read;
  }

  setShare(permits: number): void {
    this.#share = Math.min(permits, this.#cap);
  }

  stats(): PermitStats {
    return {
      mode: 'static',
      cap: this.#cap,
      limit: this.#share,
      workers: this.#workers,
      recentWorkers: this.#workers,
      clusterHeld: this.#share,
      clusterInFlight: this.#demand?.().inFlight ?? 0,
      renewals: 0,
      renewalFailures: 0,
      renewalMsSum: 0,
      commands: 0,
    };
  }

  async reportExit(): Promise<void> {}

  async close(): Promise<void> {}
}
