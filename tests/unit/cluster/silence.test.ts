import { expect, test } from 'bun:test';
import { type Responsiveness, Silence } from '../../../src/cluster/silence.ts';

const CHECK_MS = 250;
const LIMITS = { silenceMaxMs: 5000, busyMaxMs: 30_000 };

/** A worker that is checked every 250 ms. Its processor time is what the test says. */
class CheckedWorker {
  readonly silence = new Silence();
  ticks: number | null = 100;

  /** Lets time pass, in which the worker uses so many ticks between two checks. Returns the changes of its state. */
  pass(seconds: number, { ticksPerCheck = 0, sendsMessages = false } = {}): string[] {
    const changes: string[] = [];
    let before: Responsiveness = this.silence.state;
    for (let ms = CHECK_MS; ms <= seconds * 1000; ms += CHECK_MS) {
      if (this.ticks !== null) this.ticks += ticksPerCheck;
      if (sendsMessages) this.silence.end();
      const state = this.silence.check(CHECK_MS, this.ticks, LIMITS);
      if (state !== before) changes.push(`${ms / 1000} s: ${state}`);
      before = state;
    }
    return changes;
  }
}

test('a worker that stands still is dead after 5 s', () => {
  const worker = new CheckedWorker();
  worker.pass(10, { ticksPerCheck: 1, sendsMessages: true });
  expect(worker.pass(40)).toEqual(['5 s: dead']);
});

test('a worker that computes is busy after 5 s, and overdue only after 30 s', () => {
  const worker = new CheckedWorker();
  expect(worker.pass(40, { ticksPerCheck: 25 })).toEqual(['5.25 s: busy', '30.25 s: overdue']);
});

test('any processor time is computing: a tick every four seconds keeps a worker busy', () => {
  const worker = new CheckedWorker();
  const changes = Array.from({ length: 10 }, () => [
    ...worker.pass(0.25, { ticksPerCheck: 1 }),
    ...worker.pass(3.75),
  ]);
  expect(changes.flat().map((change) => change.replace(/.*: /, ''))).toEqual(['busy', 'overdue']);
});

test('a busy worker that stops to compute is dead before another 5 s', () => {
  const worker = new CheckedWorker();
  worker.pass(12, { ticksPerCheck: 25 });
  expect(worker.silence.state).toBe('busy');
  expect(worker.silence.silenceMs).toBe(12_000);
  expect(worker.pass(20)).toEqual(['4.75 s: dead']);
});

test('a busy worker whose processor time can no longer be read is dead at once', () => {
  const worker = new CheckedWorker();
  worker.pass(12, { ticksPerCheck: 25 });
  worker.ticks = null;
  expect(worker.pass(1)).toEqual(['0.25 s: dead']);
});

test('a message ends the silence, and the next one gets all its time', () => {
  const worker = new CheckedWorker();
  worker.pass(29, { ticksPerCheck: 25 });
  worker.silence.end();
  expect(worker.silence.state).toBe('responsive');
  expect(worker.pass(1, { ticksPerCheck: 25, sendsMessages: true })).toEqual([]);
  expect(worker.pass(31, { ticksPerCheck: 25 })).toEqual(['5 s: busy', '30 s: overdue']);
});

test('an idle worker that sends its heartbeats is responsive, however little it computes', () => {
  const worker = new CheckedWorker();
  expect(worker.pass(60, { sendsMessages: true })).toEqual([]);
});

test('a worker whose processor time cannot be read is dead after 5 s, as one that stands still', () => {
  const worker = new CheckedWorker();
  worker.ticks = null;
  expect(worker.pass(40)).toEqual(['5.25 s: dead']);
});
