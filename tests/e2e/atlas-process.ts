import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ClusterStatus } from '../../src/cluster/status-socket.ts';
import { until } from '../support/until.ts';

const ROOT = dirname(dirname(import.meta.dir));
const MAIN = join(ROOT, 'src', 'main.ts');
// Matches up to the last line, since earlier lines can arrive separately.
const ANNOUNCED =
  /is listening on (http:\S+)\n[\s\S]*?(?:Move [^\n]*\n[^\n]+\n|Create an API key: [^\n]+\n|\/v1\/ping [^\n]+\n)\n/;

/** A command that has exited. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `atlas serve` in a separate process. */
export interface AtlasProcess {
  readonly url: string;
  readonly pid: number;
  /** The API key that the start printed, or null. */
  readonly key: string | null;
  /** Returns its output so far, standard output and standard error. */
  output(): string;
  /** Returns what `atlas status --json` prints, read from the same socket, which is faster than a process. */
  status(): Promise<ClusterStatus>;
  signal(signal: 'SIGHUP'): void;
  /** Sends the signal and waits for the exit. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<Finished>;
}

/** Returns settings for a folder: a free port, a small pool, and nothing of the tester's environment. */
export function environmentOf(folder: string, settings: Record<string, string>): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    ATLAS_DATA_DIR: join(folder, 'data'),
    API_PORT: '0',
    DATABASE_POOL_SIZE: '10',
    DATABASE_MAX_OVERFLOW: '0',
    ...settings,
  };
}

/** Creates a folder that the user of PostgreSQL can enter. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-e2e-'));
  await chmod(folder, 0o755);
  return folder;
}

/** Kills what still runs on the folder, and removes it. */
export async function removeFolder(folder: string): Promise<void> {
  await killPostgres(folder);
  // A killed server may still be writing.
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}

/** Runs `atlas` with the arguments and waits for its exit. */
export function runAtlas(
  folder: string,
  args: readonly string[],
  settings: Record<string, string> = {},
): Promise<Finished> {
  const child = launch(folder, args, settings);
  return finish(child);
}

/** Runs `atlas` like {@link runAtlas}, and returns its standard output. Throws with its errors unless it succeeds. */
export async function succeedAtlas(
  folder: string,
  args: readonly string[],
  settings: Record<string, string> = {},
): Promise<string> {
  const { code, stdout, stderr } = await runAtlas(folder, args, settings);
  if (code !== 0) throw new Error(`atlas ${args.join(' ')} exited with ${code}:\n${stderr}`);
  return stdout;
}

/** Starts `atlas serve` and waits until it prints its URL. Throws with its output if it exits before. */
export async function startAtlas(
  folder: string,
  settings: Record<string, string> = {},
): Promise<AtlasProcess> {
  const child = launch(folder, ['serve'], settings);
  let output = '';
  const finished = finish(child);
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: string) => {
      output += chunk;
      const announced = ANNOUNCED.exec(output);
      if (announced) resolve(announced[1]!);
    };
    child.stdout!.on('data', read);
    child.stderr!.on('data', (chunk: string) => {
      output += chunk;
    });
    void finished.then(({ code }) => reject(new Error(`atlas serve exited with ${code}:\n${output}`)));
  });
  return {
    url,
    pid: child.pid!,
    key: /^ {2}(atlas_live_\w+)$/m.exec(output)?.[1] ?? null,
    output: () => output,
    status: () => readStatus(folder, url),
    signal: (signal) => void child.kill(signal),
    end(signal) {
      child.kill(signal);
      return finished;
    },
  };
}

/** Returns what the supervisor of the server at the URL reports to `atlas status`. */
export async function readStatus(folder: string, url: string): Promise<ClusterStatus> {
  const unix = join(folder, 'data', `serve-${new URL(url).port}.sock`);
  return (await (await fetch('http://atlas/', { unix })).json()) as ClusterStatus;
}

function launch(folder: string, args: readonly string[], settings: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: environmentOf(folder, settings),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return child;
}

async function finish(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr!.on('data', (chunk: string) => {
    stderr += chunk;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    // Output can arrive after `exit`, but not after `close`.
    child.on('close', resolve);
  });
  return { code, stdout, stderr };
}

/** Returns the process id of the embedded PostgreSQL on the folder, or null if none runs. */
export async function postgresPid(folder: string): Promise<number | null> {
  const file = join(folder, 'data', 'postgres', '18', 'postmaster.pid');
  const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0]);
  return pid > 0 && isAlive(pid) ? pid : null;
}

/** Kills the embedded PostgreSQL with SIGKILL and waits for its exit. */
export async function killPostgres(folder: string): Promise<void> {
  const pid = await postgresPid(folder);
  if (pid === null) return;
  process.kill(pid, 'SIGKILL');
  await until(() => !isAlive(pid));
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
