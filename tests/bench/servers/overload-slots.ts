/** A pool of slots with an unbounded queue. Nothing outside can see how many are in use. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Waits for a slot and holds it for a time. */
  async hold(holdMs: number): Promise<void> {
    if (this.#free > 0) this.#free--;
    // Bounding this queue is the job of the server around it.
    else await new Promise<void>((enter) => this.#waiting.push(enter));
    await Bun.sleep(holdMs);
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
