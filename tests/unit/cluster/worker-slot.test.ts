import { expect, test } from 'bun:test';
import { WorkerSlot } from '../../../src/cluster/worker-slot.ts';
import { inVirtualTime, pass } from '../../support/virtual-time.ts';
import { IncarnationStub } from './incarnation-stub.ts';

function slotWith(...states: readonly IncarnationStub['state'][]): WorkerSlot {
  const stubs = states.map((state) => new IncarnationStub(state));
  const slot = new WorkerSlot(0, (_, number) => (stubs[number - 1] ?? new IncarnationStub()).incarnation);
  for (const _ of states) slot.start();
  return slot;
}

test('a slot is occupied unless all its workers drain and no restart is scheduled', () => {
  expect(slotWith().isOccupied).toBe(false);
  expect(slotWith('draining').isOccupied).toBe(false);
  expect(slotWith('draining', 'starting').isOccupied).toBe(true);
  expect(slotWith('ready').isOccupied).toBe(true);
  const restarting = slotWith('draining');
  restarting.scheduleRestart(restarting.incarnations[0]!, () => {});
  expect(restarting.isOccupied).toBe(true);
  restarting.cancelRestart();
  expect(restarting.isOccupied).toBe(false);
});

test('a restart happens after the backoff, unless it is cancelled', () =>
  inVirtualTime(async () => {
    const slot = slotWith('gone');
    const [died] = slot.incarnations;
    let restarts = 0;
    const restart = () => {
      restarts++;
    };
    expect(slot.scheduleRestart(died!, restart)).toBe(0);
    await pass(10);
    expect(restarts).toBe(1);
    expect(slot.scheduleRestart(died!, restart)).toBe(100);
    await pass(90);
    expect(restarts).toBe(1);
    slot.cancelRestart();
    await pass(1000);
    expect(restarts).toBe(1);
  }));
