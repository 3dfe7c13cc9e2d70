import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { findGoTool, goTool, installGoTool } from './go-tool.ts';
import { freePort } from './native-postgres.ts';

const VERSITYGW = goTool('versitygw', '1.8.0', 'github.com/versity/versitygw/cmd/versitygw');
const READY_TIMEOUT_MS = 10_000;
const OUTPUT_CHARS_MAX = 4_000;
const END_TIMEOUT_MS = 2_000;
/** The keys of every versitygw started here. It is for tests on the loopback interface, so they are no secret. */
const ACCESS_KEY_ID = 'atlas-tests';
const SECRET_ACCESS_KEY = 'atlas-tests-secret';

/** An S3 (versitygw) started here. Its buckets are the folders of its data, its objects their files. */
export interface Versitygw {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly port: number;
  readonly pid: number;
  /** Settles when the server has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Stops its time, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /**
   * Ends it with the signal and waits until it is gone. It waits for idle connections of its clients to close, so an end
   * in order that takes 2 s becomes a kill.
   */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** The path of the pinned versitygw, or null where it is not installed. */
export function findVersitygw(): string | null {
  return findGoTool(VERSITYGW);
}

/** Builds the pinned versitygw with Go. Throws what failed, why, and what to do. */
export function installVersitygw(): Promise<void> {
  return installGoTool(VERSITYGW);
}

/**
 * Starts an S3 over the folder with the bucket in it, on the loopback interface. `port` 0 takes a free one. The bytes of
 * an object are in `data/<bucket>/<key>`. Throws with the end of its output when it ends before it answers.
 */
export async function startVersitygw(folder: string, bucket: string, port = 0): Promise<Versitygw> {
  const binary = findVersitygw();
  if (binary === null)
    throw new Error(
      'The S3 of tests could not be started.\n  why:  versitygw is not installed\n  do:   npm run services -- install',
    );
  const [data, sidecar] = [join(folder, 'data'), join(folder, 'sidecar')];
  await mkdir(join(data, bucket), { recursive: true });
  const usedPort = port || (await freePort());
  // Whoever holds the port might answer as an S3 too, and be taken for the one started here.
  if (!(await isPortFree(usedPort))) throw notStarted('its address is in use', usedPort);
  try {
    return await launch(binary, usedPort, [data]);
  } catch (error) {
    if (!/xattrs? .*not support/.test(String(error))) throw error;
    // The file system has no extended attributes for what S3 knows of an object, so files beside it hold that. The bytes
    // and their attributes then do not change in one step, which is why it is not the first choice.
    await mkdir(sidecar, { recursive: true });
    return await launch(binary, usedPort, ['--sidecar', sidecar, data]);
  }
}

async function launch(binary: string, port: number, store: readonly string[]): Promise<Versitygw> {
  const keys = ['--access', ACCESS_KEY_ID, '--secret', SECRET_ACCESS_KEY];
  const args = ['--port', `127.0.0.1:${port}`, ...keys, '--keep-alive', '--quiet', 'posix', ...store];
  const env = { PATH: process.env.PATH ?? '' };
  const child = spawn(binary, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const read = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  let alive = true;
  // After `close` its last words have been read too.
  const exited = new Promise<void>((done) => {
    child.once('close', () => done());
    child.once('error', () => done());
  }).then(() => {
    alive = false;
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const untilMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await answersAsS3(endpoint))) {
    if (alive && performance.now() < untilMs) {
      await Bun.sleep(10);
      continue;
    }
    child.kill('SIGKILL');
    const why = output.trim().split('\n').at(-1) || `it did not answer within ${READY_TIMEOUT_MS} ms`;
    throw notStarted(why, port);
  }
  return {
    endpoint,
    accessKeyId: ACCESS_KEY_ID,
    secretAccessKey: SECRET_ACCESS_KEY,
    port,
    pid: child.pid!,
    exited,
    signal: (signal) => void child.kill(signal),
    async end(signal) {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** A request without a signature is refused, with an error in the form of S3: that is an answer. */
async function answersAsS3(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(endpoint, { keepalive: false, signal: AbortSignal.timeout(1_000) });
    return response.status === 403 && (await response.text()).includes('<Error>');
  } catch {
    return false;
  }
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

function notStarted(why: string, port: number): Error {
  return new Error(
    `versitygw did not start.\n  why:  ${why}\n  do:   see whether something else uses its port (${port})`,
  );
}
