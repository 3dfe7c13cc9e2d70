import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';

/** The repository that this file is in: the tools that start services lie beside `src`. */
export const ROOT = dirname(dirname(dirname(import.meta.dir)));
const RUN_SERVICE = join(ROOT, 'infra', 'run-service.ts');
const OUTPUT_CHARS_MAX = 4000;
const START_MAX_MS = 90_000;

export type ServiceName = 'postgres' | 'redis' | 'kafka' | 's3';

/** A real service that was started for a demo, which may be killed, stopped and started again on its data and port. */
export interface StartedService {
  readonly name: ServiceName;
  readonly pid: number;
  /** The settings of Atlas that lead to it. */
  readonly settings: Readonly<Record<string, string>>;
  /** Ends it like a crash (SIGKILL), and waits until it is gone. */
  kill(): Promise<void>;
  /** Starts it again where it was. */
  restart(): Promise<void>;
  /** Stops its time, with that of all its processes: it keeps its connections and says nothing. Or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

/** A port of the loopback interface that nobody uses now. */
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

/** Starts a service in a folder. Throws an Error that says what failed, why and what to do. */
export async function startService(name: ServiceName, folder: string): Promise<StartedService> {
  if (!existsSync(RUN_SERVICE)) {
    throw new Error(
      `The demo cannot start ${name}.\n  why:  infra/ of the repository is not here\n  do:   run it from a clone of the repository`,
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
  // The service ends with its parent, and the parent with this process, however that ends.
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
  const said = new Promise<'said'>((done) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      if (!output.includes('\n')) output += chunk.toString();
      if (output.includes('\n')) done('said');
    });
  });
  child.stderr!.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  });
  let timer: Timer | undefined;
  const tooLate = new Promise<void>((done) => {
    timer = setTimeout(done, START_MAX_MS);
  });
  const first = await Promise.race([said, ended, tooLate]);
  clearTimeout(timer);
  if (first === 'said') return output;
  child.kill('SIGTERM');
  throw new Error(
    errors.trim() ||
      `${name} did not start.\n  why:  it said nothing for ${START_MAX_MS / 1000} s\n  do:   try again`,
  );
}

/** A process and the children that serve its connections, as PostgreSQL has them. On Linux; elsewhere only itself. */
function familyOf(pid: number): number[] {
  const parentOf = (child: string) => {
    try {
      // The name, in parentheses, may hold anything; what counts stands behind it: state and parent.
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
