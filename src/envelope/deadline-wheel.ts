/** One deadline in the wheel. Opaque; pass it to `cancel`. */
export interface Alarm {
  slot: number;
  position: number;
  readonly fire: () => void;
}

const IDLE_TICKS_MAX = 100;

/**
 * Runs many deadlines on one timer (the hashed timing wheel of Varghese and Lauck, with a slot for each tick of the
 * range). An alarm fires up to one tick late, never early. Setting and canceling take constant time.
 */
export class DeadlineWheel {
  readonly #tickMs: number;
  /** Arrays exist only for slots with alarms ahead: emptied ones would keep the memory of their busiest moment. */
  readonly #slots: (Alarm[] | undefined)[];
  #timer: ReturnType<typeof setInterval> | null = null;
  #cursor = 0;
  #cursorMs = 0;
  #waiting = 0;
  #idleTicks = 0;

  constructor(tickMs = 10, rangeMs = 600_000) {
    this.#tickMs = tickMs;
    this.#slots = new Array(Math.ceil(rangeMs / tickMs) + 2).fill(undefined);
  }

  /** Number of pending alarms. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Calls `fire` once the monotonic clock has passed `atMs`, or at the end of the range if that is earlier. */
  set(atMs: number, fire: () => void): Alarm {
    if (this.#timer === null) this.#start();
    const ticks = Math.ceil((atMs - this.#cursorMs) / this.#tickMs);
    const ahead = Math.min(Math.max(ticks, 1), this.#slots.length - 1);
    const slot = (this.#cursor + ahead) % this.#slots.length;
    this.#slots[slot] ??= [];
    const alarms = this.#slots[slot];
    const alarm: Alarm = { slot, position: alarms.length, fire };
    alarms.push(alarm);
    this.#waiting++;
    return alarm;
  }

  /** Removes an alarm. Does nothing if it has already fired. */
  cancel(alarm: Alarm): void {
    if (alarm.slot < 0) return;
    const alarms = this.#slots[alarm.slot]!;
    const last = alarms.pop()!;
    if (last !== alarm) {
      alarms[alarm.position] = last;
      last.position = alarm.position;
    }
    alarm.slot = -1;
    this.#waiting--;
  }

  #start(): void {
    this.#cursorMs = performance.now();
    this.#idleTicks = 0;
    this.#timer = setInterval(() => this.#turn(), this.#tickMs);
    this.#timer.unref?.();
  }

  #turn(): void {
    const nowMs = performance.now();
    while (this.#cursorMs + this.#tickMs <= nowMs) {
      this.#cursor = (this.#cursor + 1) % this.#slots.length;
      this.#cursorMs += this.#tickMs;
      const due = this.#slots[this.#cursor];
      if (due === undefined) continue;
      this.#fireAll(due);
      this.#slots[this.#cursor] = undefined;
    }
    this.#idleTicks = this.#waiting === 0 ? this.#idleTicks + 1 : 0;
    if (this.#idleTicks > IDLE_TICKS_MAX && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
  }

  #fireAll(due: Alarm[]): void {
    while (due.length > 0) {
      const alarm = due.pop()!;
      alarm.slot = -1;
      this.#waiting--;
      alarm.fire();
    }
  }
}
