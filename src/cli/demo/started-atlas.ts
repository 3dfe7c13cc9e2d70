import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterStatus, findStatus } from '../../cluster/status-socket.ts';
import { freePort, ROOT } from './started-service.ts';

const ANNOUNCED = /is listening on (http:\S+)\n[\s\S]*^ {2}(atlas_live_\w+)$/m;
const OUTPUT_CHARS_MAX = 20_000;
const START_MAX_MS = 90_000;
const END_MAX_MS = 20_000;

/** An Atlas that was started for a demo. */
export interface StartedAtlas {
  readonly url: string;
  readonly key: string;
  /** What its supervisor says now; null while there is none. */
  status(): Promise<ClusterStatus | null>;
  /** The end of what it wrote, for the case that something went wrong. */
  output(): string;
  end(): Promise<void>;
}

/** Starts an Atlas of its own in a folder, on a free port, and waits until it serves. Throws when it does not. */
export async function startAtlas(folder: string, settings: Record<string, string>): Promise<StartedAtlas> {
  const dataDir = join(folder, 'atlas');
  await mkdir(dataDir, { recursive: true });
  const port = await freePort();
  // By way of the launcher, as `npm start` does: it starts a server anew that was killed.
  const child = spawn(
    process.execPath,
    [join(ROOT, 'infra', 'launch.mjs'), join(ROOT, 'src', 'main.ts'), 'serve'],
    {
      // Away from a `.env` that is meant for another Atlas, and with nothing of this environment either.
      cwd: folder,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        // Has the launcher end Atlas when this process is gone.
        npm_lifecycle_event: 'demo',
        ATLAS_DATA_DIR: dataDir,
        API_PORT: String(port),
        API_WORKERS: '2',
        HTTP_TIMEOUT: '5',
        DATABASE_POOL_SIZE: '20',
        DATABASE_MAX_OVERFLOW: '0',
        LOG_FORMAT: 'json',
        ...settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  const announced = new Promise<RegExpExecArray>((done) => {
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
      const found = ANNOUNCED.exec(output);
      if (found) done(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
  });
  let timer: Timer | undefined;
  const tooLate = new Promise<void>((done) => {
    timer = setTimeout(done, START_MAX_MS);
  });
  const found = await Promise.race([announced, ended, tooLate]);
  clearTimeout(timer);
  if (!found) {
    await end(child, ended);
    throw new Error(
      `Atlas did not start for the demo.\n  why:  ${lastLine(output)}\n  do:   npm run -s atlas -- doctor`,
    );
  }
  return {
    url: found[1]!,
    key: found[2]!,
    status: () => findStatus(dataDir, port).catch(() => null),
    output: () => output,
    end: () => end(child, ended),
  };
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) || 'it said nothing';
}

/** In order where it can, and at once where it takes too long: what a demo wrote is thrown away. */
async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const atOnce = setTimeout(() => child.kill('SIGTERM'), END_MAX_MS / 2);
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MAX_MS);
  await ended;
  clearTimeout(atOnce);
  clearTimeout(timer);
}
