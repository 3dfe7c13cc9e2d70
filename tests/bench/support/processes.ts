import { join } from 'node:path';
import { undoAtEnd } from './clean-up.ts';
import { freshFolder } from './folders.ts';

const ROOT = join(import.meta.dir, '../../..');
const SERVING = /listening on (http:\/\/\S+)/;

/** A server process that answers. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  /** What it had printed when it was ready. */
  readonly announcement: string;
  stop(): Promise<void>;
}

/** How a process is started. */
export interface StartOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The core it is pinned to; left out, the kernel chooses among all. */
  readonly core?: number | undefined;
}

/** The absolute path of a file of the repository. */
export function inRepository(path: string): string {
  return join(ROOT, path);
}

/** Starts a server and waits until it says where it serves. Throws with its output when it ends before that. */
export async function startServer(command: readonly string[], options: StartOptions = {}): Promise<Server> {
  const child = spawn(command, options);
  const stop = undoAtEnd(async () => {
    child.kill('SIGTERM');
    await child.exited;
  });
  const errors = new Response(child.stderr).text();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let announcement = '';
  for (;;) {
    const { value, done } = await output.read();
    if (done) throw new Error(`A server of the benchmark ended: ${command.join(' ')}\n${await errors}`);
    announcement += value;
    const url = SERVING.exec(announcement)?.[1];
    if (url === undefined) continue;
    // What it prints from now on is read and dropped, or it would block once the pipe is full.
    void drain(output);
    return { url, pid: child.pid, announcement, stop };
  }
}

async function drain(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await reader.read()).done);
}

/** A command that is running. */
export interface Running {
  readonly pid: number;
  /** Its standard output once it has ended. Rejects with its errors when it fails. */
  readonly output: Promise<string>;
}

/** Starts a command that ends by itself. */
export function start(command: readonly string[], options: StartOptions = {}): Running {
  const child = spawn(command, options);
  const kill = undoAtEnd(() => child.kill());
  const [text, errors] = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  const output = child.exited.then(async (code) => {
    await kill();
    if (code !== 0) throw new Error(`${command.join(' ')} failed:\n${await errors}`);
    return text;
  });
  return { pid: child.pid, output };
}

function spawn(command: readonly string[], { env, core }: StartOptions) {
  return Bun.spawn(pinned(core, command), {
    // An empty folder: a `.env` that happens to lie where the benchmark was started must not be read.
    cwd: freshFolder(),
    env: cleanEnvironment(env),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

/** Only what a process needs: settings of the shell that runs the benchmark must not change what is measured. */
function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  return { PATH, HOME, ...extra };
}

/** The words that pin a command to a core. `taskset` becomes the command, so the process id stays the same. */
function pinned(core: number | undefined, command: readonly string[]): string[] {
  return core === undefined ? [...command] : ['taskset', '-c', String(core), ...command];
}
