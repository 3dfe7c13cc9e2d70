import { beforeEach, expect, test } from 'bun:test';
import { LivenessMonitor } from '../../../src/cluster/liveness-monitor.ts';
import { processorTimeOf } from '../../../src/cluster/processor-time.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';
import { IncarnationStub } from './incarnation-stub.ts';

const LIMITS = { silenceMaxMs: 1000, busyMaxMs: 3000, startMaxMs: 2000 };

let logs: string;
let replaced: unknown[];
let busyChanges: number;
let monitor: LivenessMonitor;
beforeEach(() => {
  logs = '';
  replaced = [];
  busyChanges = 0;
  const logger = createLogger(
    { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' },
    {
      write: (line) => {
        logs += line;
      },
    },
  );
  monitor = new LivenessMonitor({
    limits: LIMITS,
    logger,
    replace: (overdue) => replaced.push(overdue),
    onBusyChange: () => void busyChanges++,
  });
});

const check = (...stubs: IncarnationStub[]) => monitor.check(stubs.map(({ incarnation }) => incarnation));

test('a worker that exceeds a limit is killed once, and the log says why', () => {
  const [alive, silent, late] = [
    new IncarnationStub(),
    new IncarnationStub(),
    new IncarnationStub('starting'),
  ];
  silent.liveness = 'silence';
  late.liveness = 'timeout';
  for (let i = 0; i < 3; i++) check(alive, silent, late);
  expect([alive.kills, silent.kills, late.kills]).toEqual([[], ['silence'], ['timeout']]);
  expect(logs.match(/killing a worker that sends no heartbeats/g)).toHaveLength(1);
  expect(logs.match(/killing a worker that did not become ready in time/g)).toHaveLength(1);
});

test('a busy worker is left alone, and the log says once that it is busy and once that it is not any more', () => {
  const [busy, other] = [new IncarnationStub(), new IncarnationStub()];
  check(busy, other);
  busy.liveness = 'busy';
  for (let i = 0; i < 3; i++) check(busy, other);
  expect(busyChanges).toBe(1);
  expect(logs.match(/a worker is busy and sends no heartbeats/g)).toHaveLength(1);
  expect(logs).toContain('"replacedAfterSeconds":3,');
  busy.liveness = 'responsive';
  for (let i = 0; i < 3; i++) check(busy, other);
  expect(logs.match(/a worker that was busy sends heartbeats again/g)).toHaveLength(1);
  expect(busyChanges).toBe(2);
  expect([busy.kills, other.kills]).toEqual([[], []]);
  expect(replaced).toHaveLength(0);
});

test('of the workers that are busy for too long, the one that has been longest is to be replaced', () => {
  const [shorter, longer, busy] = [new IncarnationStub(), new IncarnationStub(), new IncarnationStub()];
  [shorter.liveness, longer.liveness, busy.liveness] = ['overdue', 'overdue', 'busy'];
  [shorter.silenceMs, longer.silenceMs, busy.silenceMs] = [3100, 3200, 2000];
  check(shorter, longer, busy);
  expect(replaced).toEqual([longer]);
  expect([shorter.kills, longer.kills, busy.kills]).toEqual([[], [], []]);
});

test('a worker that drains and is busy for too long is killed: it has a successor or needs none', () => {
  const draining = new IncarnationStub('draining');
  draining.liveness = 'overdue';
  for (let i = 0; i < 3; i++) check(draining);
  expect(draining.kills).toEqual(['busy']);
  expect(replaced).toHaveLength(0);
});

test('a busy worker that died is not said to send heartbeats again', () => {
  const busy = new IncarnationStub();
  busy.liveness = 'busy';
  check(busy);
  check();
  expect(busyChanges).toBe(2);
  expect(logs).not.toContain('heartbeats again');
});

test('a busy worker that is killed is not said to send heartbeats again', () => {
  const busy = new IncarnationStub();
  busy.liveness = 'busy';
  check(busy);
  busy.liveness = 'silence';
  for (let i = 0; i < 2; i++) check(busy);
  expect(busy.kills).toEqual(['silence']);
  expect(busyChanges).toBe(2);
  expect(logs).not.toContain('heartbeats again');
});

test('a worker that becomes busy while another recovers is a change', () => {
  const [first, second] = [new IncarnationStub(), new IncarnationStub()];
  first.liveness = 'busy';
  check(first, second);
  [first.liveness, second.liveness] = ['responsive', 'busy'];
  check(first, second);
  expect(busyChanges).toBe(2);
});

test('a worker is checked with the time since the last check, and with the processor time of its process', () =>
  inVirtualTime(async () => {
    const stub = new IncarnationStub();
    check(stub);
    for (const ms of [250, 400]) {
      await pass(ms);
      check(stub);
    }
    expect(stub.checks.slice(1)).toEqual([
      [250, LIMITS, processorTimeOf],
      [400, LIMITS, processorTimeOf],
    ]);
  }));
