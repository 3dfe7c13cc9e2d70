import { installPackages, stopService } from './debian.ts';
import { failure } from './failure.ts';
import { freePort } from './free-port.ts';
import { lastLineOf, type NativeProcess, startNativeProcess } from './native-process.ts';

const READY = 'Ready to accept connections';
const READY_TIMEOUT_MS = 10_000;

/** A Redis started here, without persistence. */
export interface NativeRedis extends NativeProcess {
  readonly url: string;
  readonly port: number;
}

/** Returns the path of `redis-server`, or null if it is not installed. */
export function findRedis(): string | null {
  return Bun.which('redis-server');
}

/** Installs Debian's package if it is missing. Throws what to do where that is not possible. */
export async function installRedis(): Promise<void> {
  if (findRedis() !== null) return;
  await installPackages('redis-server');
  stopService('redis-server');
}

/**
 * Starts a Redis in the folder, on the loopback interface and without persistence. `port` 0 picks a free one; `args`
 * are added to its command line. Throws the reason that Redis wrote if it exits before it is ready.
 */
export async function startNativeRedis(
  folder: string,
  port = 0,
  args: readonly string[] = [],
): Promise<NativeRedis> {
  const command = findRedis();
  if (command === null)
    throw failure(
      'Redis could not be started.',
      'there is no redis-server on the PATH',
      'npm run services -- install',
    );
  const usedPort = port || (await freePort());
  const settings = ['--bind', '127.0.0.1', '--port', `${usedPort}`, '--dir', folder];
  const withoutDisk = ['--save', '', '--appendonly', 'no'];
  const process = await startNativeProcess({
    title: 'Redis',
    command,
    args: [...settings, ...withoutDisk, ...args],
    isReady: (output) => output.includes(READY),
    readyTimeoutMs: READY_TIMEOUT_MS,
    reasonIn: (output) => lastLineOf(output)?.replace(/^.* [*#] /, ''),
    remedy: `check whether another process uses its port (${usedPort})`,
  });
  return { ...process, url: `redis://127.0.0.1:${usedPort}`, port: usedPort };
}
