import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { isAvailable } from '../support/is-available.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { isAlive, makeFolder, removeFolder } from './atlas-process.ts';
import { statusOf } from './faulty-atlas.ts';

const ROOT = join(import.meta.dir, '..', '..');
const TEST_TIMEOUT_MS = 90_000;
const STOP_MS = 30_000;
const [node, npm] = [Bun.which('node'), Bun.which('npm')];

let folder: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await makeFolder();
});
afterEach(async () => {
  // Everything that was started is in its process group.
  if (child?.pid !== undefined && groupOf(child.pid).length > 0) process.kill(-child.pid, 'SIGKILL');
  await removeFolder(folder);
}, START_TIMEOUT_MS);

/** Starts Atlas by the command in a process group of its own, and waits until it serves. */
async function start(command: readonly string[]): Promise<{ url: string; output(): string }> {
  const port = await freePort();
  const started = spawn(command[0]!, command.slice(1), {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: folder,
      ATLAS_DATA_DIR: join(folder, 'data'),
      API_PORT: `${port}`,
      API_WORKERS: '2',
    },
  });
  child = started;
  let output = '';
  for (const stream of [started.stdout!, started.stderr!])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await statusOf(`${url}/health/ready`)) === 200, {
    deadlineMs: START_TIMEOUT_MS,
    what: 'Atlas serves',
  });
  return { url, output: () => output };
}

/** Returns the processes of a group. */
function groupOf(pgid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ');
        return Number(fields[2]) === pgid && fields[0] !== 'Z';
      } catch {
        return false;
      }
    })
    .map(Number);
}

const LAUNCHER = [node ?? '', join('infra', 'launch.mjs'), 'src/main.ts', 'serve'];

describe.if(process.platform === 'linux' && isAvailable('Node', node) && isAvailable('npm', npm))(
  'Atlas under its launcher',
  () => {
    test.each([
      ['npm', 'SIGINT', [npm!, 'start']],
      ['npm', 'SIGTERM', [npm!, 'start']],
      ['bun', 'SIGINT', [process.execPath, 'start']],
      ['bun', 'SIGTERM', [process.execPath, 'start']],
      ['the launcher', 'SIGINT', LAUNCHER],
      ['the launcher', 'SIGTERM', LAUNCHER],
    ] as const)(
      'stops and drains when %s alone gets %s',
      async (_, signal, command) => {
        const { url, output } = await start(command);
        process.kill(child!.pid!, signal);
        await until(() => groupOf(child!.pid!).length === 0, {
          deadlineMs: STOP_MS,
          what: 'all have exited',
        });
        expect(output()).toContain('stopped');
        expect(output()).not.toContain('requests in flight are dropped');
        expect(await statusOf(`${url}/health`)).toBe(0);
      },
      TEST_TIMEOUT_MS,
    );

    test(
      'stops and drains once at Ctrl+C, which every process of the terminal gets',
      async () => {
        const { output } = await start(LAUNCHER);
        process.kill(-child!.pid!, 'SIGINT');
        await until(() => groupOf(child!.pid!).length === 0, {
          deadlineMs: STOP_MS,
          what: 'all have exited',
        });
        expect(output()).toContain('stopped');
        expect(output()).not.toContain('requests in flight are dropped');
      },
      TEST_TIMEOUT_MS,
    );

    test(
      'says so and stops when the launcher is killed, instead of serving unnoticed',
      async () => {
        const { url, output } = await start(LAUNCHER);
        process.kill(child!.pid!, 'SIGKILL');
        await until(() => groupOf(child!.pid!).length === 0, {
          deadlineMs: STOP_MS,
          what: 'all have exited',
        });
        expect(output()).toContain('the launcher has exited');
        expect(output()).toContain('stopped');
        expect(isAlive(child!.pid!)).toBe(false);
        expect(await statusOf(`${url}/health`)).toBe(0);
      },
      TEST_TIMEOUT_MS,
    );
  },
);
