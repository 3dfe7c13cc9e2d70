import { expect, test } from 'bun:test';
import { EventTail } from '../../../../../src/features/events/log/tail.ts';
import { until } from '../../../../support/until.ts';
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

test('the first poll wakes every stream, since earlier events are unknown', async () => {
  const events = eventsInMemory();
  events.append('alice');
  const { tail, told } = tailOver(events);
  await tail.poll();
  expect(told).toEqual(['all']);
  await tail.poll();
  // Events from before the first poll are not reported.
  expect(told).toEqual(['all']);
});

test('later polls report the owners of new events, once', async () => {
  const events = eventsInMemory();
  const { tail, told } = tailOver(events);
  await tail.poll();
  events.append('alice', 3);
  events.append('bob');
  await tail.poll();
  await tail.poll();
  expect(told).toEqual(['all', ['alice', 'bob']]);
});

test('a failed poll loses nothing, and the next ones wait a little', async () => {
  const events = eventsInMemory();
  const { tail, told, failures } = tailOver(events);
  await tail.poll();
  events.state.isUnavailable = true;
  events.append('alice');
  const { polls } = events.state;
  await until(async () => {
    await tail.poll();
    return failures.length > 0;
  });
  expect(events.state.polls).toBe(polls + 1);
  events.state.isUnavailable = false;
  await until(async () => {
    await tail.poll();
    return told.length >= 2;
  });
  expect(told).toEqual(['all', ['alice']]);
});

test('there is one poll at a time', async () => {
  const events = eventsInMemory();
  const { tail } = tailOver(events);
  await tail.poll();
  await Promise.all([tail.poll(), tail.poll(), tail.poll()]);
  expect(events.state.polls).toBe(1);
});
