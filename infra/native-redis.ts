import { spawn } from 'node:child_process';
import { installPackages, stopService } from './debian.ts';
import { freePort } from './native-postgres.ts';

const READY = 'Ready to accept connections';
const READY_TIMEOUT_MS = 10_000;
const OUTPUT_CHARS_MAX = 4_000;

/** A Redis started here, which keeps nothing on disk. */
export interface NativeRedis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Settles when the server has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Ends it with the signal and waits until it is gone. A server that was stopped (SIGSTOP) ends by SIGKILL only. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** The path of `redis-server`, or null where it is not installed. */
export function findRedis(): string | null {
  return Bun.which('redis-server');
}

/** Installs Debian's package where it is missing. Needs Debian and root; throws with what to do otherwise. */
export async function installRedis(): Promise<void> {
  if (findRedis() !== null) return;
  await installPackages('redis-server');
  stopService('redis-server');
}

/**
 * Starts a Redis that works in the folder, on the loopback interface and without persistence. `port` 0 takes a free one;
 * `args` are added to its command line. Throws with the end of its output when it ends before it is ready.
 */
export async function startNativeRedis(
  folder: string,
  port = 0,
  args: readonly string[] = [],
): Promise<NativeRedis> {
  const binary = findRedis();
  if (binary === null)
    throw new Error(
      'Redis could not be started.\n  why:  there is no redis-server on the PATH\n  do:   npm run services -- install',
    );
  const usedPort = port || (await freePort());
  const settings = ['--bind', '127.0.0.1', '--port', `${usedPort}`, '--dir', folder];
  const withoutDisk = ['--save', '', '--appendonly', 'no'];
  const child = spawn(binary, [...settings, ...withoutDisk, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', () => done());
  });
  let output = '';
  const ready = new Promise<'ready'>((done) => {
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
      if (output.includes(READY)) done('ready');
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
  });
  let timer: Timer | undefined;
  const tooLate = new Promise<void>((done) => {
    timer = setTimeout(done, READY_TIMEOUT_MS);
  });
  const first = await Promise.race([ready, exited, tooLate]);
  clearTimeout(timer);
  if (first !== 'ready') {
    child.kill('SIGKILL');
    const why =
      output
        .trim()
        .split('\n')
        .at(-1)
        ?.replace(/^.* [*#] /, '') || `it was not ready within ${READY_TIMEOUT_MS} ms`;
    const remedy = `see whether something else uses its port (${usedPort})`;
    throw new Error(`Redis did not start.\n  why:  ${why}\n  do:   ${remedy}`);
  }
  return {
    url: `redis://127.0.0.1:${usedPort}`,
    port: usedPort,
    pid: child.pid!,
    exited,
    async end(signal) {
      child.kill(signal);
      await exited;
    },
  };
}
