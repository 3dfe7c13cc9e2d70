import { describe, expect, test } from 'bun:test';
import { type ShareChange, type ShareReport, Shares } from '../../../src/cluster/shares.ts';

const permitsOf = (changes: readonly ShareChange[]) =>
  changes.map(({ incarnation, permits }) => [incarnation, permits]);
const reports = (applied: number, inFlight: number, accepting = true) => ({ applied, inFlight, accepting });

describe('the shares of the permits', () => {
  test('are equal, with the remainder in the first slots', () => {
    const shares = new Shares(10, 4, true);
    expect([0, 1, 2, 3].map((slot) => shares.ofSlot(slot))).toEqual([3, 3, 2, 2]);
    expect([0, 1, 2, 3].flatMap((slot) => permitsOf(shares.join(slot, 1)))).toEqual([
      [1, 3],
      [1, 3],
      [1, 2],
      [1, 2],
    ]);
  });

  test('of a slot are halved for a successor, which gets nothing until the old worker has applied it', () => {
    const shares = new Shares(20, 2, true);
    shares.join(0, 1);
    shares.report(0, 1, reports(1, 0));
    expect(permitsOf(shares.join(0, 2))).toEqual([[1, 5]]);
    // A heartbeat that was sent before the share arrived.
    expect(shares.report(0, 1, reports(1, 3))).toEqual([]);
    expect(permitsOf(shares.report(0, 1, reports(2, 3)))).toEqual([[2, 5]]);
  });

  test('of an old worker count as its requests in flight while those are more', () => {
    const shares = new Shares(10, 1, true);
    shares.join(0, 1);
    shares.report(0, 1, reports(1, 9));
    shares.join(0, 2);
    expect(permitsOf(shares.report(0, 1, reports(2, 9)))).toEqual([[2, 1]]);
    expect(permitsOf(shares.report(0, 1, reports(2, 7)))).toEqual([[2, 3]]);
    expect(permitsOf(shares.report(0, 1, reports(2, 2)))).toEqual([[2, 5]]);
  });

  test('move to the successor as the old worker drains, and entirely when it has exited', () => {
    const shares = new Shares(10, 1, true);
    shares.join(0, 1);
    shares.report(0, 1, reports(1, 4));
    shares.join(0, 2);
    shares.report(0, 1, reports(2, 4));
    expect(permitsOf(shares.report(0, 1, reports(2, 4, false)))).toEqual([[1, 0]]);
    expect(permitsOf(shares.report(0, 1, reports(3, 3, false)))).toEqual([[2, 7]]);
    expect(permitsOf(shares.leave(0, 1))).toEqual([[2, 10]]);
  });

  test('return to the old worker when its successor dies', () => {
    const shares = new Shares(10, 1, true);
    shares.join(0, 1);
    shares.report(0, 1, reports(1, 0));
    shares.join(0, 2);
    expect(permitsOf(shares.leave(0, 2))).toEqual([[1, 10]]);
  });

  test('do not limit workers under leases, except during a replacement', () => {
    const shares = new Shares(10, 1, false);
    expect(permitsOf(shares.join(0, 1))).toEqual([[1, Infinity]]);
    shares.report(0, 1, reports(1, 0));
    expect(permitsOf(shares.join(0, 2))).toEqual([[1, 5]]);
    expect(permitsOf(shares.report(0, 1, reports(2, 0)))).toEqual([[2, 5]]);
    expect(permitsOf(shares.leave(0, 1))).toEqual([[2, Infinity]]);
  });

  test('never add up to more than the cap, in whatever order workers join, report and leave', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const world = new World(seed);
      for (let step = 0; step < 200; step++) {
        world.step();
        if (world.inFlightMax() > world.cap)
          throw new Error(`seed ${seed}, step ${step}: ${world.inFlightMax()} > ${world.cap}`);
      }
    }
  });
});

/** Workers that admit up to their share, with delays in both directions of the channel. */
class World {
  readonly cap: number;
  readonly #shares: Shares;
  readonly #slots: number;
  readonly #workers: {
    slot: number;
    incarnation: number;
    share: number;
    inFlight: number;
    inbox: number[];
    applied: number;
    outbox: ShareReport[];
  }[] = [];
  #state: number;
  #incarnations = 0;

  constructor(seed: number) {
    this.#state = seed;
    this.cap = 1 + this.#random(40);
    this.#slots = 1 + this.#random(4);
    this.#shares = new Shares(this.cap, this.#slots, true);
  }

  /** Maximum requests in flight: current ones and those that every worker may still admit. */
  inFlightMax(): number {
    return this.#workers.reduce((sum, { share, inFlight }) => sum + Math.max(share, inFlight), 0);
  }

  step(): void {
    const worker = this.#workers[this.#random(this.#workers.length)];
    const action = this.#random(7);
    if (worker === undefined || action === 0) this.#join(this.#random(this.#slots));
    else if (action === 1) {
      this.#workers.splice(this.#workers.indexOf(worker), 1);
      this.#deliver(this.#shares.leave(worker.slot, worker.incarnation));
    } else if (action === 2 && worker.inbox.length > 0) {
      worker.share = worker.inbox.shift()!;
      worker.applied++;
    } else if (action === 3) worker.inFlight = Math.max(worker.inFlight, worker.share);
    else if (action === 4) worker.inFlight = this.#random(worker.inFlight + 1);
    else if (action === 5) worker.outbox.push(reports(worker.applied, worker.inFlight));
    else if (worker.outbox.length > 0)
      this.#deliver(this.#shares.report(worker.slot, worker.incarnation, worker.outbox.shift()!));
  }

  #join(slot: number): void {
    if (this.#workers.filter((worker) => worker.slot === slot).length > 2) return;
    const incarnation = ++this.#incarnations;
    this.#workers.push({ slot, incarnation, share: 0, inFlight: 0, inbox: [], applied: 0, outbox: [] });
    this.#deliver(this.#shares.join(slot, incarnation));
  }

  #deliver(changes: readonly ShareChange[]): void {
    for (const { incarnation, permits } of changes)
      this.#workers.find((worker) => worker.incarnation === incarnation)?.inbox.push(permits);
  }

  /** A linear congruential generator (Numerical Recipes), so that a seed repeats a run. */
  #random(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * below);
  }
}
