import { expect, test } from 'bun:test';
import { RollingReplacement } from '../../../src/cluster/rolling-replacement.ts';
import { WorkerSlot } from '../../../src/cluster/worker-slot.ts';
import { createLogger } from '../../../src/instrumentation/logger.ts';
import { IncarnationStub } from './incarnation-stub.ts';

const LOGGER = createLogger(
  { LOG_LEVEL: 'info', LOG_FORMAT: 'json', ENVIRONMENT: 'test' },
  { write: () => {} },
);

/** A replacement over slots with a ready worker each. Every start and retirement is an event. */
function replacementOf(slotCount: number, { failsAt = Number.POSITIVE_INFINITY } = {}) {
  const events: string[] = [];
  let starts = 0;
  let isStopping = false;
  const slots = Array.from(
    { length: slotCount },
    (_, index) => new WorkerSlot(index, () => new IncarnationStub('starting').incarnation),
  );
  const start = (slot: WorkerSlot) => {
    const incarnation = slot.start();
    const stub = incarnation as unknown as IncarnationStub;
    const isReady = ++starts < failsAt;
    stub.settle(isReady);
    if (!isReady) slot.remove(incarnation);
    return incarnation;
  };
  for (const slot of slots) (slot.start() as unknown as IncarnationStub).settle(true);
  const replacement = new RollingReplacement({
    slots,
    logger: LOGGER,
    isStopping: () => isStopping,
    startIncarnation: (slot) => {
      events.push(`start ${slot.index}`);
      return start(slot);
    },
    retire: async (old) => {
      const slot = slots.find(({ incarnations }) => incarnations.includes(old))!;
      events.push(`retire ${slot.index}`);
      slot.remove(old);
    },
  });
  return { replacement, events, slots, stop: () => (isStopping = true) };
}

test('every worker is retired after its successor is ready, slot by slot', async () => {
  const { replacement, events } = replacementOf(2);
  await replacement.run();
  expect(events).toEqual(['start 0', 'retire 0', 'start 1', 'retire 1']);
});

test('requests during a round share one more round', async () => {
  const { replacement, events } = replacementOf(1);
  await Promise.all([replacement.run(), replacement.run(), replacement.run()]);
  expect(events).toEqual(['start 0', 'retire 0', 'start 0', 'retire 0']);
});

test('a successor that fails to start aborts the round and leaves the old worker', async () => {
  const { replacement, events, slots } = replacementOf(2, { failsAt: 1 });
  await replacement.run();
  expect(events).toEqual(['start 0']);
  expect(slots.map(({ incarnations }) => incarnations.map(({ state }) => state))).toEqual([
    ['ready'],
    ['ready'],
  ]);
});

test('a stopping supervisor starts no successors', async () => {
  const { replacement, events, stop } = replacementOf(2);
  stop();
  await replacement.run();
  expect(events).toEqual([]);
});
