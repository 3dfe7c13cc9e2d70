import { writeFileSync } from 'node:fs';

const FIELDS = [
  'demand',
  'holdMs',
  'inFlight',
  'inFlightPeak',
  'admitted',
  'limit',
  'mode',
  'renewalFailures',
  'knownWorkers',
  'deathToReport',
] as const;
/**
 * What a worker and the test tell each other. `mode` is a place in {@link MODES}, 0 while the worker is not up;
 * `deathToReport` is 1 + the slot of a dead worker.
 */
export type LeaseField = (typeof FIELDS)[number];
export const MODES = ['', 'static', 'joining', 'learning', 'fresh', 'stale', 'floor'] as const;

const TOTAL = 0;
const TOTAL_PEAK = 1;
const SLOTS_AT = 16;
const SLOT_SIZE = 16;
const SLOTS_MAX = 32;

/**
 * Stats that all processes of a test see at the same moment: a file that each maps into its memory. Every admission
 * adds to one total, in one atomic step, so that the peak of the total misses no excess, however short it was; asking
 * the workers one after the other would miss some, and see some that never were.
 */
export class LeaseBoard {
  readonly #cells: Int32Array;

  constructor(readonly path: string) {
    this.#cells = new Int32Array(Bun.mmap(path, { shared: true }).buffer);
  }

  static create(path: string): LeaseBoard {
    writeFileSync(path, new Uint8Array(Int32Array.BYTES_PER_ELEMENT * (SLOTS_AT + SLOTS_MAX * SLOT_SIZE)));
    return new LeaseBoard(path);
  }

  get(slot: number, field: LeaseField): number {
    return Atomics.load(this.#cells, cellOf(slot, field));
  }

  set(slot: number, field: LeaseField, value: number): void {
    Atomics.store(this.#cells, cellOf(slot, field), value);
  }

  /** Requests in flight in all workers. */
  get total(): number {
    return Atomics.load(this.#cells, TOTAL);
  }

  /** The highest total that an admission has led to since the peaks were forgotten; ends of requests do not count. */
  get totalPeak(): number {
    return Atomics.load(this.#cells, TOTAL_PEAK);
  }

  forgetPeaks(): void {
    Atomics.store(this.#cells, TOTAL_PEAK, 0);
    for (let slot = 0; slot < SLOTS_MAX; slot++) this.set(slot, 'inFlightPeak', 0);
  }

  /** A request of the worker begins. */
  admitted(slot: number): void {
    Atomics.add(this.#cells, cellOf(slot, 'admitted'), 1);
    this.#raise(cellOf(slot, 'inFlightPeak'), Atomics.add(this.#cells, cellOf(slot, 'inFlight'), 1) + 1);
    this.#raise(TOTAL_PEAK, Atomics.add(this.#cells, TOTAL, 1) + 1);
  }

  /** A request of the worker ends. */
  released(slot: number): void {
    Atomics.sub(this.#cells, TOTAL, 1);
    Atomics.sub(this.#cells, cellOf(slot, 'inFlight'), 1);
  }

  /** The worker is dead, and with it what it had in flight. Answers how much that was. */
  buried(slot: number): number {
    const inFlight = Atomics.exchange(this.#cells, cellOf(slot, 'inFlight'), 0);
    Atomics.sub(this.#cells, TOTAL, inFlight);
    this.set(slot, 'limit', 0);
    return inFlight;
  }

  #raise(cell: number, value: number): void {
    let seen = Atomics.load(this.#cells, cell);
    while (seen < value) {
      const before = Atomics.compareExchange(this.#cells, cell, seen, value);
      if (before === seen) return;
      seen = before;
    }
  }
}

function cellOf(slot: number, field: LeaseField): number {
  return SLOTS_AT + slot * SLOT_SIZE + FIELDS.indexOf(field);
}
