import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterStatus, findStatus } from '../../cluster/status-socket.ts';
import { freePort, ROOT } from './started-service.ts';

const BANNER = /is listening on (http:\S+)\n[\s\S]*^ {2}(atlas_live_\w+)$/m;
const OUTPUT_CHARS_MAX = 20_000;
const START_MAX_MS = 90_000;
const END_MAX_MS = 20_000;

/** An Atlas started for a demo. */
export interface StartedAtlas {
  readonly url: string;
  readonly key: string;
  /** Returns the status from the supervisor; null while there is none. */
  status(): Promise<ClusterStatus | null>;
  /** Returns the end of its output, for diagnostics. */
  output(): string;
  end(): Promise<void>;
}

/** Starts a separate Atlas in a folder, on a free port, and waits until it serves. Throws an Error if it does not. */
export async function startAtlas(folder: string, settings: Record<string, string>): Promise<StartedAtlas> {
  const dataDir = join(folder, 'atlas');
  await mkdir(dataDir, { recursive: true });
  const port = await freePort();
  // Through the launcher, as `npm start` does: it restarts a killed server.
  const child = spawn(
    process.execPath,
    [join(ROOT, 'infra', 'launch.mjs'), join(ROOT, 'src', 'main.ts'), 'serve'],
    {
      // Isolated from a `.env` meant for another Atlas, and from this environment.
      cwd: folder,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        // Makes the launcher stop Atlas when this process is gone.
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
  const serving = new Promise<RegExpExecArray>((done) => {
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
      const found = BANNER.exec(output);
      if (found) done(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
  });
  let timer: Timer | undefined;
  const timeout = new Promise<void>((done) => {
    timer = setTimeout(done, START_MAX_MS);
  });
  const found = await Promise.race([serving, ended, timeout]);
  clearTimeout(timer);
  if (!found) {
    await end(child, ended);
    throw new Error(
      `The demo could not start Atlas.\n  why:  ${lastLine(output)}\n  do:   npm run -s atlas -- doctor`,
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
  return output.trim().split('\n').at(-1) || 'it printed nothing';
}

/** Stops it gracefully, or by force if that takes too long: the data of a demo is thrown away. */
async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGTERM');
  const impatient = setTimeout(() => child.kill('SIGTERM'), END_MAX_MS / 2);
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MAX_MS);
  await ended;
  clearTimeout(impatient);
  clearTimeout(timer);
}
