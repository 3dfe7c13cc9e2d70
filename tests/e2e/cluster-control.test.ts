import { afterEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Supervisor, type SupervisorOptions } from '../../src/cluster/supervisor.ts';
import { createLogger } from '../../src/instrumentation/logger.ts';
import { until } from '../support/until.ts';

const SCRIPT = join(import.meta.dir, 'scripted-worker.ts');

let supervisor: Supervisor;
let logs: string[];
afterEach(() => supervisor.kill());

/** Starts a supervisor of scripted workers in this process, with a short silence limit. */
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

test('a supervisor that stalled does not kill workers for their silence', async () => {
  await supervise();
  await until(() => supervisor.incarnations.every(({ status }) => status !== null));
  const before = supervisor.incarnations.map(({ status }) => status);
  const stalledMs = performance.now();
  // Like a stopped or starved supervisor, read no messages for longer than the silence limit.
  while (performance.now() - stalledMs < 2500);
  await until(() => supervisor.incarnations.every(({ status }, i) => status !== before[i]));
  expect(supervisor.incarnations.map(({ killedFor }) => killedFor)).toEqual([null, null, null]);
  expect(incarnations()).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, busy: 0, replaced: 0 });
});

test('a worker that falls silent is killed and replaced, and no other worker is', async () => {
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
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 1, busy: 0, replaced: 0 });
});

test('a busy worker survives its silence: it is neither killed nor replaced', async () => {
  await supervise({ SPIN_SLOTS: '0', SPIN_MS: '3000' }, { busyMaxMs: 30_000 });
  await until(() => logs.join('').includes('a worker is busy and sends no heartbeats'));
  expect(supervisor.incarnations.map(({ isBusy }) => isBusy)).toEqual([true, false, false]);
  await until(() => logs.join('').includes('a worker that was busy sends heartbeats again'));
  expect(incarnations()).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, busy: 0, replaced: 0 });
});

test('the jobs of the host leave a busy worker, and return when it sends heartbeats again', async () => {
  await supervise({ SPIN_SLOTS: '0', SPIN_MS: '4000' }, { busyMaxMs: 30_000 });
  const runsJobs = (slot: number) => supervisor.incarnations[slot]!.status?.mode === 'jobs';
  await until(() => supervisor.incarnations[0]!.isBusy && runsJobs(1));
  await until(() => !supervisor.incarnations[0]!.isBusy);
  await until(() => runners().join() === '0');
});

test('workers that are busy for too long are replaced one at a time, each after its successor is ready', async () => {
  await supervise({ SPIN_SLOTS: '0,1', SPIN_MS: '60000' }, { busyMaxMs: 2500 });
  const old = supervisor.incarnations.slice(0, 2);
  const seen: string[] = [];
  for (const worker of old) {
    void worker.exited.then(() => {
      const successor = supervisor.slots[worker.slot]!.incarnations.at(-1);
      seen.push(`${worker.slot} ${worker.killedFor} ${successor?.number} ${successor?.state}`);
    });
  }
  const counts = new Set<number>();
  await until(() => {
    counts.add(supervisor.incarnations.length);
    return supervisor.restarts.busy === 2 && old.every(({ state }) => state === 'gone');
  });
  expect([...seen].toSorted()).toEqual(['0 busy 2 ready', '1 busy 2 ready']);
  expect([...counts].toSorted()).toEqual([3, 4]);
  expect(supervisor.slots.map(({ restarts }) => restarts)).toEqual([1, 1, 0]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, busy: 2, replaced: 0 });
});

test('a busy worker whose successor cannot start stays', async () => {
  await supervise({ SPIN_SLOTS: '0', SPIN_MS: '5000', STARTS_MAX: '1' }, { busyMaxMs: 1500 });
  await until(() => logs.join('').includes('a busy worker stays: its successor failed to start'));
  await until(() => logs.join('').includes('a worker that was busy sends heartbeats again'));
  expect(supervisor.incarnations.map(({ slot, number, state }) => [slot, number, state])).toEqual([
    [0, 1, 'ready'],
    [1, 1, 'ready'],
    [2, 1, 'ready'],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, busy: 0, replaced: 0 });
});

test('a busy worker that recovers while its successor starts is drained, not killed', async () => {
  const environment = { SPIN_SLOTS: '0', SPIN_MS: '3000', SUCCESSOR_START_MS: '3000', DRAIN_MS: '200' };
  await supervise(environment, { busyMaxMs: 1500 });
  const [old] = supervisor.incarnations;
  await until(() => supervisor.incarnations.length === 4);
  expect(old!.isBusy).toBe(true);
  await until(() => old!.state === 'draining');
  await old!.exited;
  expect([old!.killedFor, old!.exitText]).toEqual([null, 'exited with status 0']);
  expect(incarnations()[0]).toEqual([0, 2]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, busy: 1, replaced: 0 });
});

test('a stopped worker is killed at once while a busy one is left alone', async () => {
  await supervise({ SPIN_SLOTS: '0', SPIN_MS: '60000' }, { busyMaxMs: 30_000 });
  const [busy, stopped] = supervisor.incarnations;
  process.kill(stopped!.pid!, 'SIGSTOP');
  await stopped!.exited;
  expect([busy!.killedFor, stopped!.killedFor]).toEqual([null, 'silence']);
  await until(() => supervisor.slots[1]!.incarnations.some(({ state }) => state === 'ready'));
  expect(busy!.state).toBe('ready');
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 1, busy: 0, replaced: 0 });
});

test('only the lowest live worker runs the jobs of the host, and they move when it dies', async () => {
  // Its slot cannot restart, so the state after its death lasts.
  await supervise({ STARTS_MAX: '1' });
  // Until the lowest is ready, another one runs them.
  await until(() => runners().join() === '0');
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => runners().join() === '1');
});

test('the jobs of the host return to the lowest slot when it has a new worker', async () => {
  await supervise();
  await until(() => runners().join() === '0');
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => supervisor.incarnations.length === 3 && supervisor.incarnations[0]!.number === 2);
  await until(() => runners().join() === '0');
});

test('permits are split among the workers, and the successor of a dead worker gets its share', async () => {
  await supervise();
  await until(() => limits().join() === '4,3,3');
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => supervisor.incarnations.length === 3 && supervisor.incarnations[0]!.number === 2);
  await until(() => limits().join() === '4,3,3');
});

test('a successor that fails to start leaves the old workers in place', async () => {
  await supervise({ STARTS_MAX: '1' });
  await supervisor.roll();
  expect(incarnations()).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 0, silent: 0, busy: 0, replaced: 0 });
  expect(logs.join('')).toContain('the new worker failed to start');
});

test('a stop during the restart delay of a slot cancels the restart', async () => {
  await supervise({ DRAIN_MS: '700' }, { workers: 2 });
  const [, waiting] = supervisor.slots;
  for (let deaths = 1; deaths <= 3; deaths++) {
    await until(() => waiting!.incarnations.at(-1)?.state === 'ready');
    const incarnation = waiting!.incarnations.at(-1)!;
    process.kill(incarnation.pid!, 'SIGKILL');
    await incarnation.exited;
  }
  // The delay ends long before the other worker is drained.
  await supervisor.stop();
  expect(waiting!.incarnationsStarted).toBe(3);
  expect(incarnations()).toEqual([]);
});

test('a drained worker does not restart its slot while the restart of its dead successor is pending', async () => {
  await supervise({ DRAIN_MS: '300' }, { workers: 1 });
  const [slot] = supervisor.slots;
  const killNewest = async () => {
    await until(() => slot!.incarnations.at(-1)?.state === 'ready');
    const newest = slot!.incarnations.at(-1)!;
    process.kill(newest.pid!, 'SIGKILL');
    await newest.exited;
  };
  // Three deaths raise the delay of the next restart above the time of the drain.
  for (let deaths = 1; deaths <= 3; deaths++) await killNewest();
  await until(() => slot!.incarnations.at(-1)?.state === 'ready');
  const rolled = supervisor.roll();
  await until(() => slot!.incarnations[0]?.state === 'draining');
  await killNewest();
  await rolled;
  expect(slot!.restarts).toBe(4);
  expect(supervisor.restarts).toEqual({ crashed: 4, silent: 0, busy: 0, replaced: 1 });
  await until(() => slot!.incarnations.at(-1)?.state === 'ready');
  expect(slot!.incarnations).toHaveLength(1);
});

test('a worker that the system cannot start is retried, and the supervisor survives', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-control-'));
  const program = join(folder, 'bun');
  symlinkSync(process.execPath, program);
  const start = { command: [program, SCRIPT], environment: process.env };
  await supervise({}, { start });
  rmSync(program);
  process.kill(supervisor.incarnations[0]!.pid!, 'SIGKILL');
  await until(() => logs.join('').includes('failed to start'));
  // Nor does a replacement that fails to start cost a worker that serves.
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

test('workers that never start are a crash loop, which is reported once', async () => {
  const errors: string[] = [];
  const start = { command: [join(import.meta.dir, 'no-such-program')], environment: {} };
  create({}, { start, onCrashLoop: ({ message }) => void errors.push(message) });
  expect(await supervisor.start()).toBe(false);
  expect(errors).toEqual([
    expect.stringContaining('more than 10 workers died within 60 s and none became ready'),
  ]);
  expect(errors[0]).toContain('failed to start');
});

test('a worker that sends heartbeats but does not become ready in time is killed, and the next one serves', async () => {
  await supervise({ NEVER_READY: '1' }, { startMaxMs: 1000 });
  expect(incarnations()).toEqual([
    [0, 2],
    [1, 1],
    [2, 1],
  ]);
  expect(supervisor.restarts).toEqual({ crashed: 1, silent: 0, busy: 0, replaced: 0 });
});

test('many workers that were ready and are killed together are not a crash loop', async () => {
  let hasFailed = false;
  await supervise({}, { workers: 11, onCrashLoop: () => (hasFailed = true) });
  const before = supervisor.incarnations;
  for (const { pid } of before) process.kill(pid!, 'SIGKILL');
  await Promise.all(before.map(({ exited }) => exited));
  await until(
    () => hasFailed || supervisor.incarnations.filter(({ state }) => state === 'ready').length === 11,
  );
  expect(hasFailed).toBe(false);
});

test('the live processes are published after every start and every exit', async () => {
  let published: readonly number[] = [];
  await supervise({}, { onProcesses: (pids) => (published = pids) });
  expect(published).toEqual(supervisor.incarnations.map(({ pid }) => pid!));
  await supervisor.stop();
  expect(published).toEqual([]);
});
