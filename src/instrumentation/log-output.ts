import type { BunFile } from 'bun';

/** Where text goes: a `FileSink` of Bun, which never blocks. */
export interface TextSink {
  write(text: string): unknown;
  /** Returns a promise if the reader is slower than the writer. */
  flush(): number | Promise<number>;
}

// What waits for a slow reader; more is dropped.
const WAITING_BYTES_MAX = 1024 * 1024;
// Workers share a pipe, and only a write of this many bytes is never mixed with those of others (POSIX, PIPE_BUF).
const ATOMIC_BYTES = 4096;

/**
 * Writes lines as they come, and never waits for the reader: a pipe that nobody reads must not stop the process that
 * writes to it. What the reader does not take waits, up to a bound, and is dropped beyond it.
 */
export class LogOutput {
  readonly #sink: TextSink;
  #waiting: string[] = [];
  #waitingBytes = 0;
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
    if (!this.#isBlocked) {
      this.#send(line, 1);
      return;
    }
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > WAITING_BYTES_MAX) this.#dropped++;
    else {
      this.#waiting.push(line);
      this.#waitingBytes += bytes;
    }
  }

  #send(text: string, lines: number): void {
    try {
      const written = this.#sink.write(text);
      // It rejects like the flush, which is waited for.
      if (written instanceof Promise) written.catch(() => {});
      const flushed = this.#sink.flush();
      if (!(flushed instanceof Promise)) return;
      this.#isBlocked = true;
      flushed.then(
        () => this.#resume(),
        () => {
          this.#dropped += lines;
          this.#resume();
        },
      );
    } catch {
      // The reader has closed the pipe, or the disk is full.
      this.#dropped += lines;
    }
  }

  /** Writes what has waited, in as few atomic writes as it fits in, until the reader is too slow again. */
  #resume(): void {
    this.#isBlocked = false;
    let next = 0;
    while (next < this.#waiting.length && !this.#isBlocked) {
      let text = this.#waiting[next++]!;
      let bytes = Buffer.byteLength(text);
      const first = next - 1;
      for (; next < this.#waiting.length; next++) {
        const more = Buffer.byteLength(this.#waiting[next]!);
        if (bytes + more > ATOMIC_BYTES) break;
        text += this.#waiting[next]!;
        bytes += more;
      }
      this.#waitingBytes -= bytes;
      this.#send(text, next - first);
    }
    this.#waiting = this.#waiting.slice(next);
  }
}

/** Opens the standard output, or the standard error, for a log. It is not touched before the first line. */
export function openLogOutput(file: Pick<BunFile, 'writer'> = Bun.stdout): LogOutput {
  let opened: ReturnType<BunFile['writer']> | null = null;
  const sink = () => {
    if (opened !== null) return opened;
    opened = file.writer();
    // A reader that has stopped must not keep the process from exiting.
    opened.unref();
    return opened;
  };
  return new LogOutput({ write: (text) => sink().write(text), flush: () => sink().flush() });
}
