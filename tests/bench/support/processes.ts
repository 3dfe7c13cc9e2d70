import { join } from 'node:path';
import { undoAtEnd } from './clean-up.ts';
import { freshFolder } from './folders.ts';

const ROOT = join(import.meta.dir, '../../..');
const SERVING = /listening on (http:\/\/\S+)/;

/** A server process that is ready. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  /** Its output up to the moment when it was ready. */
  readonly announcement: string;
  stop(): Promise<void>;
}

/** Options for starting a process. */
export interface StartOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The core to pin it to. By default the kernel chooses. */
  readonly core?: number | undefined;
}

/** A checkout of the repository. */
export interface Tree {
  readonly name: string;
  readonly root: string;
}

/** The tree of this harness. */
export const HERE: Tree = { name: 'this tree', root: ROOT };

/** Returns the absolute path of a file in the repository. */
export function inRepository(path: string): string {
  return inTree(HERE, path);
}

/** Returns the absolute path of a file in a tree. */
export function inTree({ root }: Tree, path: string): string {
  return join(root, path);
}

/** Starts a server and waits until it prints its URL. Throws with its errors if it exits before that. */
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
    if (done) throw new Error(`A server of the benchmark exited: ${command.join(' ')}\n${await errors}`);
    announcement += value;
    const url = SERVING.exec(announcement)?.[1];
    if (url === undefined) continue;
    // Further output is discarded: the server would block once the pipe is full.
    void drain(output);
    return { url, pid: child.pid, announcement, stop };
  }
}

async function drain(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await reader.read()).done);
}

/** A running command. */
export interface Running {
  readonly pid: number;
  /** Its standard output, once it has exited. Rejects with its standard error if it fails. */
  readonly output: Promise<string>;
}

/** Starts a command that exits on its own. */
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
    // An empty folder: a `.env` of the current folder must not be read.
    cwd: freshFolder(),
    env: cleanEnvironment(env),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

/** Returns only what a process needs: the environment of the shell must not influence the results. */
function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  return { PATH, HOME, ...extra };
}

/** Pins a command to a core. `taskset` executes the command, so the process id stays the same. */
function pinned(core: number | undefined, command: readonly string[]): string[] {
  return core === undefined ? [...command] : ['taskset', '-c', String(core), ...command];
}
