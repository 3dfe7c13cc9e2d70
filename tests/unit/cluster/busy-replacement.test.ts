import { expect, test } from 'bun:test';
import { BusyReplacement } from '../../../src/cluster/busy-replacement.ts';
import { WorkerSlot } from '../../../src/cluster/worker-slot.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { inVirtualTime, pass, settled } from '../../support/virtual-time.ts';
import { IncarnationStub } from './incarnation-stub.ts';

/** A replacement over slots with a ready worker each, whose successors are ready when the test says so. */
function replacementOf(slotCount: number) {
  const events: string[] = [];
  const lines: string[] = [];
  const settings = { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' } as const;
  const successors: IncarnationStub[] = [];
  const exits: (() => void)[] = [];
  let isStopping = false;
  const slots = Array.from(
    { length: slotCount },
    (_, index) => new WorkerSlot(index, () => new IncarnationStub('starting', index).incarnation),
  );
  for (const slot of slots) (slot.start() as unknown as IncarnationStub).settle(true);
  const replacement = new BusyReplacement({
    slots,
    logger: createLogger(settings, { write: (line) => void lines.push(JSON.parse(line).msg) }),
    isStopping: () => isStopping,
    startIncarnation: (slot) => {
      events.push(`start ${slot.index}`);
      const incarnation = slot.start();
      successors.push(incarnation as unknown as IncarnationStub);
      return incarnation;
    },
    retire: (old) => {
      events.push(`retire ${old.slot}`);
      return new Promise((resolve) => {
        exits.push(() => {
          slots[old.slot]!.remove(old);
          resolve();
        });
      });
    },
  });
  const oldOf = (slot: number) => slots[slot]!.incarnations[0]!;
  return { replacement, events, lines, successors, exits, slots, oldOf, stop: () => (isStopping = true) };
}

test('a busy worker ends only when its successor is ready', async () => {
  const { replacement, events, successors, oldOf } = replacementOf(1);
  replacement.request(oldOf(0));
  await settled();
  expect(events).toEqual(['start 0']);
  successors[0]!.settle(true);
  await settled();
  expect(events).toEqual(['start 0', 'retire 0']);
});

test('busy workers are replaced one at a time, however often they are reported', async () => {
  const { replacement, events, successors, exits, oldOf } = replacementOf(3);
  const old = [oldOf(0), oldOf(1), oldOf(2)];
  const report = async () => {
    for (const worker of old) replacement.request(worker);
    await settled();
  };
  await report();
  await report();
  expect(events).toEqual(['start 0']);
  successors[0]!.settle(true);
  await report();
  expect(events).toEqual(['start 0', 'retire 0']);
  exits[0]!();
  old.shift();
  await report();
  await report();
  expect(events).toEqual(['start 0', 'retire 0', 'start 1']);
});

test('a successor that fails to start leaves the busy worker, and the next one starts 5 s later', () =>
  inVirtualTime(async () => {
    const { replacement, events, lines, successors, slots, oldOf } = replacementOf(1);
    const old = oldOf(0);
    replacement.request(old);
    slots[0]!.remove(successors[0]!.incarnation);
    successors[0]!.settle(false);
    await settled();
    expect(lines).toEqual([
      'starting the successor of a busy worker that sends no heartbeats',
      'a busy worker stays: its successor failed to start',
    ]);
    replacement.request(old);
    await pass(4900);
    replacement.request(old);
    expect(events).toEqual(['start 0']);
    await pass(200);
    replacement.request(old);
    expect(events).toEqual(['start 0', 'start 0']);
    expect(slots[0]!.incarnations[0]).toBe(old);
  }));

test('a slot whose successor is on its way gets no other one', () => {
  const { replacement, events, slots, oldOf } = replacementOf(1);
  const old = oldOf(0);
  slots[0]!.start();
  replacement.request(old);
  expect(events).toEqual([]);
});

test('a stopping supervisor starts no successors, and ends none of its workers for one', async () => {
  const { replacement, events, successors, oldOf, stop } = replacementOf(2);
  replacement.request(oldOf(0));
  stop();
  successors[0]!.settle(true);
  await settled();
  replacement.request(oldOf(1));
  expect(events).toEqual(['start 0']);
});

test('a successor that ends with its supervisor is not reported as one that failed to start', async () => {
  const { replacement, lines, successors, oldOf, stop } = replacementOf(1);
  replacement.request(oldOf(0));
  stop();
  successors[0]!.settle(false);
  await settled();
  expect(lines).toEqual(['starting the successor of a busy worker that sends no heartbeats']);
});
