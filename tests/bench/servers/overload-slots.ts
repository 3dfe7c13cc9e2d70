/** So many places, each held for a time; who finds none waits in line. Nothing outside can see how many are taken. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Waits for a place and holds it for so many milliseconds. */
  async hold(holdMs: number): Promise<void> {
    if (this.#free > 0) this.#free--;
    // The line is as long as the callers are many: the server in front is what should bound it.
    else await new Promise<void>((enter) => this.#waiting.push(enter));
    await Bun.sleep(holdMs);
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
