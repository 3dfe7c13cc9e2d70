/** Why lines were dropped, and how many of each since the start of this process. */
export interface LogDrops {
  /** Repetitions of an error that was logged a moment ago. */
  repeated: number;
  /** Lines beyond what may be logged in a second. */
  rate: number;
  /** Lines that the reader of the output did not take in time. */
  output: number;
  /** Refused requests beyond those that are logged in a second. */
  sampled: number;
}

/** Lines that one process may log in a second: those at level info and above, and those below. */
export interface LineLimits {
  readonly linesMax: number;
  readonly debugLinesMax: number;
}

/** Fields of a line that tell two lines with the same error apart. */
interface LineFields {
  readonly err?: unknown;
  readonly endpoint?: unknown;
  readonly loop?: unknown;
  readonly job?: unknown;
}

interface Repeated {
  count: number;
  /** Writes the last repetition, with their number. */
  write: (repeated: number) => void;
}

const INTERVAL_MS = 10_000;
const SECOND_MS = 1000;
const ERRORS_MAX = 256;
const TEXT_CHARS_MAX = 200;
const CAUSES_MAX = 4;
// IDs, addresses and counts: errors that differ only in these are identical.
const VARYING = /[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{8,}\b|\d+/gi;

/**
 * Bounds what a process logs. An error is logged in full when it first occurs, and identical ones are counted: at the
 * end of each interval, the last one is logged with their number. All lines share a bound per second.
 */
export class LogLimit {
  readonly #limits: LineLimits;
  readonly #infoLevel: number;
  readonly #onInterval: () => void;
  readonly #errors = new Map<string, Repeated>();
  #secondEndMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #debugLines = 0;
  #timer: Timer | null = null;
  repeated = 0;
  rate = 0;

  /** `onInterval` is called at the end of each interval in which lines were dropped. */
  constructor(limits: LineLimits, infoLevel: number, onInterval: () => void) {
    this.#limits = limits;
    this.#infoLevel = infoLevel;
    this.#onInterval = onInterval;
  }

  /** Returns whether to log a line now. `write` logs it later, with the number of its repetitions. */
  admits(level: number, message: unknown, fields: unknown, write: (repeated: number) => void): boolean {
    const error = (fields as LineFields | null | undefined)?.err;
    if (error !== undefined && !this.#isNew(keyOf(message, fields as LineFields), write)) return false;
    const nowMs = performance.now();
    if (nowMs >= this.#secondEndMs) {
      this.#secondEndMs = nowMs + SECOND_MS;
      this.#lines = 0;
      this.#debugLines = 0;
    }
    const isInLimit =
      level >= this.#infoLevel
        ? ++this.#lines <= this.#limits.linesMax
        : ++this.#debugLines <= this.#limits.debugLinesMax;
    if (isInLimit) return true;
    this.rate++;
    this.startInterval();
    return false;
  }

  /** Makes sure that an interval is running, at whose end drops are reported. */
  startInterval(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => this.endInterval(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Logs what was repeated since the last interval, and forgets what was not. */
  endInterval(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const [key, entry] of this.#errors) {
      if (entry.count === 0) this.#errors.delete(key);
      else this.#report(entry);
    }
    if (this.#errors.size > 0) this.startInterval();
    this.#onInterval();
  }

  #isNew(key: string, write: (repeated: number) => void): boolean {
    const known = this.#errors.get(key);
    if (known !== undefined) {
      known.count++;
      known.write = write;
      this.repeated++;
      return false;
    }
    if (this.#errors.size >= ERRORS_MAX) this.#forgetOldest();
    this.#errors.set(key, { count: 0, write });
    this.startInterval();
    return true;
  }

  #forgetOldest(): void {
    const [key, entry] = this.#errors.entries().next().value!;
    this.#errors.delete(key);
    if (entry.count > 0) this.#report(entry);
  }

  #report(entry: Repeated): void {
    const { count, write } = entry;
    entry.count = 0;
    write(count);
  }
}

/** What identical errors have in common. */
function keyOf(message: unknown, { err, endpoint, loop, job }: LineFields): string {
  let key = `${message}|${endpoint ?? loop ?? job ?? ''}`;
  let error = err;
  for (let depth = 0; depth < CAUSES_MAX && error instanceof Error; depth++) {
    const text = error.message.slice(0, TEXT_CHARS_MAX).replace(VARYING, '#');
    key += `|${error.name} ${(error as { code?: unknown }).code ?? ''} ${text}`;
    error = error.cause;
  }
  return err instanceof Error ? key : `${key}|${String(err).slice(0, TEXT_CHARS_MAX).replace(VARYING, '#')}`;
}
