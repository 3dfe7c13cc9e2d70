import { type SpawnOptions, spawn } from 'node:child_process';
import { failure } from './failure.ts';

const POLL_MS = 10;
const OUTPUT_CHARS_MAX = 64_000;
const LAST_OUTPUT_MS_MAX = 1000;

/** A server process started here. */
export interface NativeProcess {
  readonly pid: number;
  /** Resolves when the process has exited, for whatever reason. */
  readonly exited: Promise<void>;
  /** Pauses or resumes the process. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Sends the signal and waits for the exit. A paused process (SIGSTOP) reacts to SIGKILL only. */
  end(signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export interface NativeProcessOptions {
  /** Names the server in errors. */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly spawn?: Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'>;
  /** Polled until it returns true. `output` is the end of what the process has written. */
  isReady(output: string): boolean | Promise<boolean>;
  readonly readyTimeoutMs: number;
  /** After this, {@link NativeProcess.end} kills the process; without it, `end` waits. */
  readonly endTimeoutMs?: number;
  /** Finds the reason for a failed start in the output, which by default is its last line. */
  reasonIn?(output: string): string | undefined;
  /** What to do when the start fails. */
  readonly remedy: string;
}

/**
 * Starts a server and resolves when it is ready. Kills it and throws if it exits before that, or is not ready in time;
 * the error carries the reason that the server wrote.
 */
export async function startNativeProcess(options: NativeProcessOptions): Promise<NativeProcess> {
  const { title, command, args, isReady, readyTimeoutMs, endTimeoutMs } = options;
  const child = spawn(command, args, { ...options.spawn, stdio: ['ignore', 'pipe', 'pipe'] });
  const until = (event: 'exit' | 'close') =>
    new Promise<void>((done) => {
      child.once(event, () => done());
      child.once('error', () => done());
    });
  const [exited, closed] = [until('exit'), until('close')];
  let isRunning = true;
  void exited.then(() => {
    isRunning = false;
  });
  let output = '';
  const read = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout!.on('data', read);
  child.stderr!.on('data', read);

  const deadlineMs = performance.now() + readyTimeoutMs;
  while (!(await isReady(output))) {
    if (isRunning && performance.now() < deadlineMs) {
      await Bun.sleep(POLL_MS);
      continue;
    }
    child.kill('SIGKILL');
    // The pipes may hold output that is not read yet, and close only with the last process that has them.
    await Promise.race([closed, Bun.sleep(LAST_OUTPUT_MS_MAX)]);
    const reason = (options.reasonIn ?? lastLineOf)(output) || `it was not ready within ${readyTimeoutMs} ms`;
    throw failure(`${title} did not start.`, reason, options.remedy);
  }
  return {
    pid: child.pid!,
    exited,
    signal: (signal) => void child.kill(signal),
    async end(signal) {
      child.kill(signal);
      const timer = endTimeoutMs === undefined ? null : setTimeout(() => child.kill('SIGKILL'), endTimeoutMs);
      await exited;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

/** Returns the last line that is not empty, if any. */
export function lastLineOf(output: string): string | undefined {
  return output.trim().split('\n').at(-1) || undefined;
}
