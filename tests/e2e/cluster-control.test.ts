import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { Supervisor, type SupervisorOptions } from '../../src/cluster/supervisor.ts';
import { createLogger } from '../../src/instrumentation/logger.ts';
import { until } from './atlas-process.ts';

const SCRIPT = join(import.meta.dir, 'scripted-worker.ts');

let supervisor: Supervisor;
let logs: string[];
afterEach(() => supervisor.kill());

/** A supervisor in this process over scripted workers. Silence is noticed soon, so that the test can cause it. */
async function supervise(
  environment: Record<string, string> = {},
  options: Partial<SupervisorOptions> = {},
): Promise<void> {
  logs = [];
  supervisor = new Supervisor({
    workers: 3,
    idPrefix: 'test',
    start: { command: [process.execPath, SCRIPT], environment: { ...process.env, ...environment } },
    cap: 10,
    capBounded: true,
    silenceMaxMs: 1000,
    drainMaxMs: 5000,
    logger: createLogger(
      { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' },
      { write: (line) => void logs.push(line) },
    ),
    onCrashLoop: () => {},
    ...options,
  });
  expect(await supervisor.start()).toBe(true);
}

const lives = () => supervisor.lives.map(({ slot, number }) => [slot, number]);
const limits = () => supervisor.lives.map(({ status }) => status?.limit);
const runners = () => supervisor.lives.flatMap(({ slot, status }) => (status?.mode === 'jobs' ? [slot] : []));

test('a supervisor that has stalled itself ends no worker for it', async () => {
  await supervise();
  await until(() => supervisor.lives.every(({ status }) => status !== null));
  const before = supervisor.lives.map(({ status }) => status);
  const stalledMs = performance.now();
  // What a stopped or starved supervisor does: it reads no message for longer than a worker may be silent.
  while (performance.now() - stalledMs < 2500);
  await until(() => supervisor.lives.every(({ status }, i) => status !== before[i]));
  expect(supervisor.lives.map(({ killedFor }) => killedFor)).toEqual([null, null, null]);
  expect(lives()).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, replaced: 0 });
});

test('a worker that falls silent is ended and replaced, and no other', async () => {
  await supervise({ SILENT_AFTER_MS: '500' });
  const [silent] = supervisor.lives;
  await until(() => supervisor.restarts.silent === 1);
  await silent!.exited;
  await until(() => supervisor.lives.length === 3);
  expect(lives()).toEqual([
    [0, 2],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 1, replaced: 0 });
});

test('the jobs of the host are done by the lowest live worker alone, and move when it dies', async () => {
  await supervise();
  await until(() => runners().length === 1);
  expect(runners()).toEqual([0]);
  process.kill(supervisor.lives[0]!.pid, 'SIGKILL');
  await until(() => runners().join() === '1');
  // The new worker of the lowest slot takes them over again.
  await until(() => runners().join() === '0');
  expect(supervisor.lives).toHaveLength(3);
});

test('the permits are split over the workers, and the worker that follows a dead one gets its share', async () => {
  await supervise();
  await until(() => limits().join() === '4,3,3');
  process.kill(supervisor.lives[0]!.pid, 'SIGKILL');
  await until(() => supervisor.lives.length === 3 && supervisor.lives[0]!.number === 2);
  await until(() => limits().join() === '4,3,3');
});

test('a successor that cannot start leaves the old workers where they are', async () => {
  await supervise({ STARTS_MAX: '1' });
  await supervisor.roll();
  expect(lives()).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, replaced: 0 });
  expect(logs.join('')).toContain('a new worker did not start');
});
