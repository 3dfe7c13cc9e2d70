import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';

/** The root of the repository, where `infra` has the tools that start services. */
export const ROOT = dirname(dirname(dirname(import.meta.dir)));
const RUN_SERVICE = join(ROOT, 'infra', 'run-service.ts');
const OUTPUT_CHARS_MAX = 4000;
const START_MAX_MS = 90_000;

export type ServiceName = 'postgres' | 'redis' | 'kafka' | 's3';

/** A real service started for a demo. It can be killed, frozen, and restarted on the same data and port. */
export interface StartedService {
  readonly name: ServiceName;
  readonly pid: number;
  /** The settings with which Atlas uses it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Crashes it (SIGKILL), and waits until it is gone. */
  kill(): Promise<void>;
  /** Restarts it on the same data and port. */
  restart(): Promise<void>;
  /** Freezes all its processes, which keep their connections but do not respond; or resumes them. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

/** Returns a free port of the loopback interface. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

/** Starts a service in a folder. Throws an Error that says what failed, why, and what to do. */
export async function startService(name: ServiceName, folder: string): Promise<StartedService> {
  if (!existsSync(RUN_SERVICE)) {
    throw new Error(
      `The demo cannot start ${name}.\n  why:  the infra directory of the repository is missing\n  do:   run it from a clone of the repository`,
    );
  }
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  let running = await run(name, folder, port);
  return {
    name,
    get pid() {
      return running.pid;
    },
    settings: running.settings,
    async kill() {
      process.kill(running.pid, 'SIGKILL');
      await running.ended;
    },
    async restart() {
      running = await run(name, folder, port);
    },
    signal(signal) {
      for (const pid of familyOf(running.pid)) process.kill(pid, signal);
    },
  };
}

interface Running {
  readonly pid: number;
  readonly settings: Record<string, string>;
  readonly ended: Promise<void>;
}

async function run(name: ServiceName, folder: string, port: number): Promise<Running> {
  // The service exits with its parent, and the parent with this process, however that exits.
  const child = spawn(process.execPath, [RUN_SERVICE, name, folder, String(port)], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const line = await firstLine(child, ended, name);
  return { ...(JSON.parse(line) as Pick<Running, 'pid' | 'settings'>), ended };
}

async function firstLine(child: ChildProcess, ended: Promise<void>, name: string): Promise<string> {
  let [output, errors] = ['', ''];
  const printed = new Promise<'printed'>((done) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      if (!output.includes('\n')) output += chunk.toString();
      if (output.includes('\n')) done('printed');
    });
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  });
  let timer: Timer | undefined;
  const timeout = new Promise<void>((done) => {
    timer = setTimeout(done, START_MAX_MS);
  });
  const first = await Promise.race([printed, ended, timeout]);
  clearTimeout(timer);
  if (first === 'printed') return output;
  child.kill('SIGTERM');
  throw new Error(
    errors.trim() ||
      `${name} did not start.\n  why:  it printed nothing within ${START_MAX_MS / 1000} s\n  do:   run the command again`,
  );
}

/** Returns a process and its children, which serve connections in PostgreSQL. Only Linux lists children. */
function familyOf(pid: number): number[] {
  const parentOf = (child: string) => {
    try {
      // The name, in parentheses, may contain anything; the state and the parent follow it.
      return Number(
        readFileSync(`/proc/${child}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')[1],
      );
    } catch {
      return 0;
    }
  };
  const all = existsSync('/proc') ? readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)) : [];
  return [pid, ...all.filter((entry) => parentOf(entry) === pid).map(Number)];
}
