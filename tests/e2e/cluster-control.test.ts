import { afterEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Supervisor, type SupervisorOptions } from '../../src/cluster/supervisor.ts';
import { createLogger } from '../../src/instrumentation/logger.ts';
import { until } from './atlas-process.ts';

const SCRIPT = join(import.meta.dir, 'scripted-worker.ts');

let supervisor: Supervisor;
let logs: string[];
afterEach(() => supervisor.kill());

/** A supervisor in this process over scripted workers that has started. Silence is noticed soon, so that the test can cause it. */
async function supervise(
  environment: Record<string, string> = {},
  options: Partial<SupervisorOptions> = {},
): Promise<void> {
  create(environment, options);
  expect(await supervisor.start()).toBe(true);
}

function create(environment: Record<string, string>, options: Partial<SupervisorOptions>): void {
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
}

const incarnations = () => supervisor.incarnations.map(({ slot, number }) => [slot, number]);
const limits = () => supervisor.incarnations.map(({ status }) => status?.limit);
const runners = () =>
  supervisor.incarnations.flatMap(({ slot, status }) => (status?.mode === 'jobs' ? [slot] : []));

test('a supervisor that has stalled itself ends no worker for it', async () => {
  await supervise();
  await until(() => supervisor.incarnations.every(({ status }) => status !== null));
  const before = supervisor.incarnations.map(({ status }) => status);
  const stalledMs = performance.now();
  // What a stopped or starved supervisor does: it reads no message for longer than a worker may be silent.
  while (performance.now() - stalledMs < 2500);
  await until(() => supervisor.incarnations.every(({ status }, i) => status !== before[i]));
  expect(supervisor.incarnations.map(({ killedFor }) => killedFor)).toEqual([null, null, null]);
  expect(incarnations()).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, replaced: 0 });
});

test('a worker that falls silent is ended and replaced, and no other', async () => {
  await supervise({ SILENT_AFTER_MS: '500' });
  const [silent] = supervisor.incarnations;
  await until(() => supervisor.restarts.silent === 1);
  await silent!.exited;
  await until(() => supervisor.incarnations.length === 3);
  expect(incarnations()).toEqual([
    [0, 2],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 1, replaced: 0 });
});

test('the jobs of the host are done by the lowest live worker alone, and move when it dies', async () => {
  // Nobody can follow in its slot, so the state after its death lasts.
  await supervise({ STARTS_MAX: '1' });
  await until(() => runners().length === 1);
  expect(runners()).toEqual([0]);
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => runners().join() === '1');
});

test('the jobs of the host go back to the lowest slot when a new worker is in it', async () => {
  await supervise();
  await until(() => runners().join() === '0');
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => supervisor.incarnations.length === 3 && supervisor.incarnations[0]!.number === 2);
  await until(() => runners().join() === '0');
});

test('the permits are split over the workers, and the worker that follows a dead one gets its share', async () => {
  await supervise();
  await until(() => limits().join() === '4,3,3');
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => supervisor.incarnations.length === 3 && supervisor.incarnations[0]!.number === 2);
  await until(() => limits().join() === '4,3,3');
});

test('a successor that cannot start leaves the old workers where they are', async () => {
  await supervise({ STARTS_MAX: '1' });
  await supervisor.roll();
  expect(incarnations()).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, replaced: 0 });
  expect(logs.join('')).toContain('a new worker did not start');
});

test('an order to stop in the pause before the next start of a slot starts nobody', async () => {
  await supervise({ DRAIN_MS: '700' }, { workers: 2 });
  const [, pausing] = supervisor.slots;
  for (let deaths = 1; deaths <= 3; deaths++) {
    await until(() => pausing!.incarnations.at(-1)?.state === 'ready');
    const incarnation = pausing!.incarnations.at(-1)!;
    process.kill(incarnation.pid!, 'SIGKILL');
    await incarnation.exited;
  }
  // The pause is over long before the other worker is drained.
  await supervisor.stop();
  expect(pausing!.livesStarted).toBe(3);
  expect(incarnations()).toEqual([]);
});

test('a worker that the system cannot start is started later, and the supervisor lives on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-control-'));
  const program = join(folder, 'bun');
  symlinkSync(process.execPath, program);
  const start = { command: [program, SCRIPT], environment: process.env };
  await supervise({}, { start });
  rmSync(program);
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => logs.join('').includes('could not be started'));
  // Nor does a replacement that cannot be started cost a worker that serves.
  await supervisor.roll();
  expect(supervisor.slots.slice(1).map((slot) => slot.incarnations.map(({ state }) => state))).toEqual([
    ['ready'],
    ['ready'],
  ]);
  symlinkSync(process.execPath, program);
  await until(() =>
    supervisor.slots.every((slot) => slot.incarnations.some(({ state }) => state === 'ready')),
  );
  expect(supervisor.restarts.crashed).toBeGreaterThanOrEqual(2);
  rmSync(folder, { recursive: true });
});

test('workers that can never be started are a crash loop, which is told once', async () => {
  const told: string[] = [];
  const start = { command: [join(import.meta.dir, 'no-such-program')], environment: {} };
  create({}, { start, onCrashLoop: ({ message }) => void told.push(message) });
  expect(await supervisor.start()).toBe(false);
  expect(told).toEqual([expect.stringContaining('more than 10 ended within 60 s and none was ready')]);
  expect(told[0]).toContain('could not be started');
});

test('a worker that speaks but does not become ready in time is ended, and the next one serves', async () => {
  await supervise({ NEVER_READY: '1' }, { startMaxMs: 1000 });
  expect(incarnations()).toEqual([
    [0, 2],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 1, silent: 0, replaced: 0 });
});

test('many workers that were ready and are killed at once are no crash loop', async () => {
  let gaveUp = false;
  await supervise({}, { workers: 11, onCrashLoop: () => (gaveUp = true) });
  const before = supervisor.incarnations;
  for (const { pid } of before) process.kill(pid!, 'SIGKILL');
  await Promise.all(before.map(({ exited }) => exited));
  await until(() => gaveUp || supervisor.incarnations.filter(({ state }) => state === 'ready').length === 11);
  expect(gaveUp).toBe(false);
});

test('the processes that live are told after every start and every end', async () => {
  let told: readonly number[] = [];
  await supervise({}, { onProcesses: (pids) => (told = pids) });
  expect(told).toEqual(supervisor.incarnations.map(({ pid }) => pid!));
  await supervisor.stop();
  expect(told).toEqual([]);
});
