import { describe, expect, test } from 'bun:test';
import { SingleFlight } from '../../../src/utils/single-flight.ts';

/** Work that the test completes, and a record of each start. */
function heldWork() {
  const started: { signal: AbortSignal; end: (value: number) => void; fail: (error: Error) => void }[] = [];
  const work = (signal: AbortSignal) =>
    new Promise<number>((resolve, reject) => {
      started.push({ signal, end: resolve, fail: reject });
    });
  return { started, work };
}

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: Error) => error.message,
  );

describe('callers that arrive while work is in progress', () => {
  test('share it', async () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    const callers = Array.from({ length: 100 }, () => flights.run('a', work));
    expect(started.length).toBe(1);
    started[0]!.end(7);
    expect(new Set(await Promise.all(callers))).toEqual(new Set([7]));
    expect(flights.size).toBe(0);
  });

  test('share its failure, and the next one starts new work', async () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    const callers = [flights.run('a', work), flights.run('a', work)];
    started[0]!.fail(new Error('broken'));
    expect(await Promise.all(callers.map(reasonOf))).toEqual(['broken', 'broken']);
    const next = flights.run('a', work);
    expect(started.length).toBe(2);
    started[1]!.end(1);
    expect(await next).toBe(1);
  });

  test('do not share work for another key', () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    void flights.run('a', work);
    void flights.run('b', work);
    expect(started.length).toBe(2);
  });

  test('start new work after the old was forgotten, and the end of the old does not end theirs', async () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    const before = flights.run('a', work);
    flights.forget('a');
    const after = flights.run('a', work);
    expect(started.length).toBe(2);
    started[0]!.end(1);
    expect(await before).toBe(1);
    expect(flights.size).toBe(1);
    started[1]!.end(2);
    expect(await after).toBe(2);
  });
});

describe('a caller that aborts', () => {
  test('leaves immediately, and the others get the value', async () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    const [first, second] = [new AbortController(), new AbortController()];
    const left = reasonOf(flights.run('a', work, first.signal));
    const stays = flights.run('a', work, second.signal);
    first.abort(new Error('too late'));
    expect(await left).toBe('too late');
    expect(started[0]!.signal.aborted).toBe(false);
    started[0]!.end(3);
    expect(await stays).toBe(3);
  });

  test('aborts the work if it was the last one, and later callers do not join it', async () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    const controllers = [new AbortController(), new AbortController()];
    const left = controllers.map(({ signal }) => reasonOf(flights.run('a', work, signal)));
    for (const controller of controllers) controller.abort(new Error('too late'));
    expect(await Promise.all(left)).toEqual(['too late', 'too late']);
    expect(started[0]!.signal.aborted).toBe(true);
    expect(flights.size).toBe(0);
    const next = flights.run('a', work);
    expect(started.length).toBe(2);
    started[0]!.fail(new Error('aborted'));
    started[1]!.end(4);
    expect(await next).toBe(4);
  });

  test('does not abort work that a caller without a signal waits for', async () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    const controller = new AbortController();
    const stays = flights.run('a', work);
    const left = reasonOf(flights.run('a', work, controller.signal));
    controller.abort(new Error('too late'));
    await left;
    expect(started[0]!.signal.aborted).toBe(false);
    started[0]!.end(5);
    expect(await stays).toBe(5);
  });

  test('before it calls starts nothing', async () => {
    const flights = new SingleFlight<number>(10);
    const { started, work } = heldWork();
    expect(await reasonOf(flights.run('a', work, AbortSignal.abort(new Error('too late'))))).toBe('too late');
    expect(started.length).toBe(0);
  });
});

test('beyond the maximum number of keys, callers run their own work and nothing more is stored', async () => {
  const flights = new SingleFlight<number>(1);
  const { started, work } = heldWork();
  const callers = ['a', 'b', 'b'].map((key) => flights.run(key, work));
  expect(started.length).toBe(3);
  expect(flights.size).toBe(1);
  started.forEach(({ end }, i) => void end(i));
  expect(await Promise.all(callers)).toEqual([0, 1, 2]);
});
