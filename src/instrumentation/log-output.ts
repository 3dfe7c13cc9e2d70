import type { BunFile } from 'bun';

/** Where text goes: a `FileSink` of Bun, which never blocks. */
export interface TextSink {
  write(text: string): unknown;
  /** Returns a promise if the reader is slower than the writer. */
  flush(): number | Promise<number>;
}

// What waits for a slow reader; more is dropped.
const WAITING_CHARS_MAX = 1024 * 1024;

/**
 * Writes lines as they come, and never waits for the reader: a pipe that nobody reads must not stop the process that
 * writes to it. What the reader does not take waits, up to a bound, and is dropped beyond it.
 */
export class LogOutput {
  readonly #sink: TextSink;
  #waiting: string[] = [];
  #waitingChars = 0;
  #isBlocked = false;
  #dropped = 0;

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  /** Whether the reader has yet to take what was written. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Lines that were dropped, because the reader was too slow or is gone. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (!this.#isBlocked) this.#send([line]);
    else if (this.#waitingChars + line.length > WAITING_CHARS_MAX) this.#dropped++;
    else {
      this.#waiting.push(line);
      this.#waitingChars += line.length;
    }
  }

  #send(lines: readonly string[]): void {
    try {
      const written = this.#sink.write(lines.length === 1 ? lines[0]! : lines.join(''));
      // It rejects like the flush, which is waited for.
      if (written instanceof Promise) written.catch(() => {});
      const flushed = this.#sink.flush();
      if (!(flushed instanceof Promise)) return;
      this.#isBlocked = true;
      flushed.then(
        () => this.#resume(),
        () => {
          this.#dropped += lines.length;
          this.#resume();
        },
      );
    } catch {
      // The reader has closed the pipe, or the disk is full.
      this.#dropped += lines.length;
    }
  }

  #resume(): void {
    this.#isBlocked = false;
    if (this.#waiting.length === 0) return;
    const lines = this.#waiting;
    this.#waiting = [];
    this.#waitingChars = 0;
    this.#send(lines);
  }
}

/** Opens the standard output, or the standard error, for a log. */
export function openLogOutput(file: Pick<BunFile, 'writer'> = Bun.stdout): LogOutput {
  const sink = file.writer();
  // A reader that has stopped must not keep the process from exiting.
  sink.unref();
  return new LogOutput(sink);
}
