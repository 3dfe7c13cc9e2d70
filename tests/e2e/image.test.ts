import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { availableEngines, freshDatabase } from '../support/database.ts';
import { environmentOf, parseDockerfile, type Stage, wordsOf } from '../support/dockerfile.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';

const ROOT = dirname(dirname(import.meta.dir));
const USER = 1000;
const stages = parseDockerfile(readFileSync(join(ROOT, 'infra/docker/Dockerfile'), 'utf8'));
const image = stages.at(-1)!;
const bun = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };

let folder: string;
let atlas: ChildProcess | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'atlas-image-'));
  chmodSync(folder, 0o755);
  for (const stage of stages) buildStage(stage);
}, START_TIMEOUT_MS);
afterAll(() => {
  atlas?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Does in a folder what Docker would do to the files of an image: COPY, and the runs of Bun. */
function buildStage({ name, instructions }: Stage): void {
  const top = join(folder, name ?? 'image');
  mkdirSync(join(top, 'app'), { recursive: true });
  for (const { name: instruction, rest } of instructions) {
    if (instruction === 'COPY') copy(rest, join(top, 'app'));
    if (instruction === 'RUN' && rest.startsWith('bun '))
      execFileSync(process.execPath, rest.split(' ').slice(1), {
        cwd: join(top, 'app'),
        env: bun,
        stdio: 'ignore',
      });
  }
}

function copy(rest: string, app: string): void {
  const words = rest.split(' ');
  const from = words[0]!.startsWith('--from=') ? words.shift()!.slice('--from='.length) : null;
  const target = words.pop()!;
  for (const source of words) {
    const origin = from === null ? join(ROOT, source) : join(folder, from, source);
    cpSync(origin, join(app, target, target.endsWith('/') ? basename(source) : ''), { recursive: true });
  }
}

test('the image runs as an unprivileged user, with the health check and the stop signal that Atlas expects', () => {
  const rest = (name: string) =>
    image.instructions.findLast((instruction) => instruction.name === name)?.rest;
  expect(rest('USER')).toBe('bun');
  expect(rest('STOPSIGNAL')).toBe('SIGTERM');
  expect(rest('HEALTHCHECK')).toContain('/health/live');
  expect(stages.map(({ from }) => from)).toEqual(stages.map(() => expect.stringMatching(/:1\.4\.5-slim$/)));
});

test('the image has the Bun version of the lock file', () => {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  for (const { from } of stages) expect(`>=${/:([\d.]+)/.exec(from)![1]}`).toBe(engines.bun);
});

test.if(availableEngines().includes('native'))(
  'Atlas starts from the files of the image, and its health check succeeds',
  async () => {
    const data = join(folder, 'data');
    mkdirSync(data);
    if (process.getuid?.() === 0) chownSync(data, USER, USER);
    const environment = {
      ...environmentOf(image),
      API_HOST: '127.0.0.1',
      ATLAS_DATA_DIR: data,
      API_PORT: '0',
      API_WORKERS: '1',
      DATABASE_POOL_SIZE: '5',
      DATABASE_MAX_OVERFLOW: '0',
      DATABASE_URL: await freshDatabase('native'),
      PATH: process.env.PATH ?? '',
      HOME: data,
    };
    const [, ...command] = [...wordsOf(image, 'ENTRYPOINT'), ...wordsOf(image, 'CMD')];
    const ids = process.getuid?.() === 0 ? { uid: USER, gid: USER } : {};
    atlas = spawn(process.execPath, command, { cwd: join(folder, 'image', 'app'), env: environment, ...ids });
    let output = '';
    const url = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk;
        const announced = /listening on (http:\S+)/.exec(output);
        if (announced) resolve(announced[1]!);
      };
      atlas!.stdout!.on('data', read);
      atlas!.stderr!.on('data', read);
      atlas!.once('exit', (code) => reject(new Error(`it ended with ${code}:\n${output}`)));
    });
    if (ids.uid !== undefined) expect(statSync(`/proc/${atlas.pid}`).uid).toBe(USER);
    const [, ...check] = wordsOf(image, 'HEALTHCHECK');
    const isHealthy = (port: string) => {
      const options = { env: { ...environment, API_PORT: port }, stdio: 'ignore' as const };
      return new Promise((resolve) => spawn(process.execPath, check, options).once('exit', resolve));
    };
    expect(await isHealthy(new URL(url).port)).toBe(0);
    expect(await isHealthy('1')).not.toBe(0);
    const ended = new Promise((resolve) => atlas!.once('exit', resolve));
    atlas.kill('SIGTERM');
    expect(await ended).toBe(0);
  },
  START_TIMEOUT_MS,
);
