import { expect, test } from 'bun:test';
import { EventTail } from '../../../../../src/features/events/log/tail.ts';
import { eventsInMemory } from './events-in-memory.ts';

function tailOver({ repository }: ReturnType<typeof eventsInMemory>) {
  const told: (readonly string[] | 'all')[] = [];
  const failures: unknown[] = [];
  const tail = new EventTail(
    repository,
    (owners) => told.push(owners),
    (error) => failures.push(error),
  );
  return { tail, told, failures };
}

test('the first look wakes everybody, as nobody knows what came before it', async () => {
  const events = eventsInMemory();
  events.append('alice');
  const { tail, told } = tailOver(events);
  await tail.poll();
  expect(told).toEqual(['all']);
  await tail.poll();
  // What was there at the first look is not news.
  expect(told).toEqual(['all']);
});

test('later looks tell whose events have come, once', async () => {
  const events = eventsInMemory();
  const { tail, told } = tailOver(events);
  await tail.poll();
  events.append('alice', 3);
  events.append('bob');
  await tail.poll();
  await tail.poll();
  expect(told).toEqual(['all', ['alice', 'bob']]);
});

test('a look that fails loses nothing, and the next ones wait a little', async () => {
  const events = eventsInMemory();
  const { tail, told, failures } = tailOver(events);
  await tail.poll();
  events.state.away = true;
  events.append('alice');
  const { polls } = events.state;
  while (failures.length === 0) await tail.poll();
  expect(events.state.polls).toBe(polls + 1);
  events.state.away = false;
  while (told.length < 2) {
    await tail.poll();
    await Bun.sleep(5);
  }
  expect(told).toEqual(['all', ['alice']]);
});

test('there is one look at a time', async () => {
  const events = eventsInMemory();
  const { tail } = tailOver(events);
  await tail.poll();
  await Promise.all([tail.poll(), tail.poll(), tail.poll()]);
  expect(events.state.polls).toBe(1);
});
