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
 * What a worker and the test report to each other. `mode` is an index in {@link MODES}, 0 until the worker is up;
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
 * Stats shared by all processes of a test: a file that each maps into memory. Every admission adds to one total in one
 * atomic step, so that its peak misses no excess, however short. Polling the workers one by one would miss some, and
 * report some that never were.
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

  /** The highest total after an admission since {@link LeaseBoard.forgetPeaks}. */
  get totalPeak(): number {
    return Atomics.load(this.#cells, TOTAL_PEAK);
  }

  forgetPeaks(): void {
    Atomics.store(this.#cells, TOTAL_PEAK, 0);
    for (let slot = 0; slot < SLOTS_MAX; slot++) this.set(slot, 'inFlightPeak', 0);
  }

  /** Records that the worker admitted a request. */
  admitted(slot: number): void {
    Atomics.add(this.#cells, cellOf(slot, 'admitted'), 1);
    this.#raise(cellOf(slot, 'inFlightPeak'), Atomics.add(this.#cells, cellOf(slot, 'inFlight'), 1) + 1);
    this.#raise(TOTAL_PEAK, Atomics.add(this.#cells, TOTAL, 1) + 1);
  }

  /** Records that a request of the worker ended. */
  released(slot: number): void {
    Atomics.sub(this.#cells, TOTAL, 1);
    Atomics.sub(this.#cells, cellOf(slot, 'inFlight'), 1);
  }

  /** Removes a dead worker with its requests in flight. Returns their number. */
  reap(slot: number): number {
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
