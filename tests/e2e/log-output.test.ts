import { afterEach, beforeEach, expect, test } from 'bun:test';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { environmentOf, isAlive, makeFolder, readStatus, removeFolder } from './atlas-process.ts';

const MAIN = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const TIMEOUT_MS = 60_000;
// A pipe holds 64 KiB, and Atlas a megabyte more.
const MORE_THAN_FITS = 24_000;
const AT_ONCE = 50;

let folder: string;
let started: ChildProcess | null = null;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(async () => {
  // After a failure it still runs; its workers end with it.
  started?.kill('SIGKILL');
  await removeFolder(folder);
});

/** Starts an Atlas that logs every request to a pipe, and returns it when it serves. */
async function start() {
  const settings = { API_WORKERS: '2', LOG_LEVEL: 'debug', LOG_FORMAT: 'json' };
  const child = spawn(process.execPath, [MAIN, 'serve'], {
    cwd: folder,
    env: environmentOf(folder, settings),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  started = child;
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const url = await until(() => /is listening on (http:\S+)\n[\s\S]*\n\n$/.exec(output)?.[1]);
  const exited = new Promise<number | null>((resolve) => child.on('exit', resolve));
  return { child, url, exited, output: () => output };
}

async function request(url: string, count: number): Promise<number> {
  let served = 0;
  for (let sent = 0; sent < count; sent += AT_ONCE) {
    const responses = await Promise.all(Array.from({ length: AT_ONCE }, () => fetch(`${url}/health/live`)));
    served += responses.filter(({ status }) => status === 200).length;
  }
  return served;
}

test(
  'a reader of the log that stops costs lines, and no request: they are counted, and a line says so',
  async () => {
    const atlas = await start();
    const pids = async () => (await readStatus(folder, atlas.url)).slots.map(({ worker }) => worker!.pid);
    const before = await pids();
    atlas.child.stdout.pause();
    expect(await request(atlas.url, MORE_THAN_FITS)).toBe(MORE_THAN_FITS);
    const metrics = await (await fetch(`${atlas.url}/metrics`)).text();
    expect(
      Number(/^atlas_log_lines_dropped_total\{reason="output"\} (\d+)$/m.exec(metrics)![1]),
    ).toBeGreaterThan(0);
    // The worker never fell silent.
    expect(await pids()).toEqual(before);
    expect(before.every(isAlive)).toBe(true);

    atlas.child.stdout.resume();
    await until(() => /"output":\d+,"msg":"log lines were dropped"/.test(atlas.output()));
    // Lines of the workers are never mixed. The last one may not be complete yet.
    const logged = atlas.output().slice(atlas.output().indexOf('\n{')).trimStart().split('\n').slice(0, -1);
    for (const line of logged) expect(() => JSON.parse(line)).not.toThrow();
    atlas.child.kill('SIGTERM');
    expect(await atlas.exited).toBe(0);
  },
  TIMEOUT_MS,
);

test(
  'a reader of the log that is gone stops neither requests nor the end of Atlas',
  async () => {
    const atlas = await start();
    atlas.child.stdout.destroy();
    expect(await request(atlas.url, 1000)).toBe(1000);
    atlas.child.kill('SIGTERM');
    expect(await atlas.exited).toBe(0);
  },
  TIMEOUT_MS,
);
