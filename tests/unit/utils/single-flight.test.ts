import { describe, expect, test } from 'bun:test';
import { SingleFlight } from '../../../src/utils/single-flight.ts';

/** Work that ends when the test says so, and counts how often it was begun. */
function heldWork() {
  const begun: { signal: AbortSignal; end: (value: number) => void; fail: (error: Error) => void }[] = [];
  const work = (signal: AbortSignal) =>
    new Promise<number>((resolve, reject) => {
      begun.push({ signal, end: resolve, fail: reject });
    });
  return { begun, work };
}

const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: Error) => error.message,
  );

describe('callers that come while work is under way', () => {
  test('share it', async () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    const callers = Array.from({ length: 100 }, () => flights.run('a', work));
    expect(begun.length).toBe(1);
    begun[0]!.end(7);
    expect(new Set(await Promise.all(callers))).toEqual(new Set([7]));
    expect(flights.size).toBe(0);
  });

  test('share its failure, and the next one begins anew', async () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    const callers = [flights.run('a', work), flights.run('a', work)];
    begun[0]!.fail(new Error('gone'));
    expect(await Promise.all(callers.map(reasonOf))).toEqual(['gone', 'gone']);
    const next = flights.run('a', work);
    expect(begun.length).toBe(2);
    begun[1]!.end(1);
    expect(await next).toBe(1);
  });

  test('do not share that of another key', () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    void flights.run('a', work);
    void flights.run('b', work);
    expect(begun.length).toBe(2);
  });

  test('begin anew after what is under way was forgotten, and its end does not end theirs', async () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    const before = flights.run('a', work);
    flights.forget('a');
    const after = flights.run('a', work);
    expect(begun.length).toBe(2);
    begun[0]!.end(1);
    expect(await before).toBe(1);
    expect(flights.size).toBe(1);
    begun[1]!.end(2);
    expect(await after).toBe(2);
  });
});

describe('a caller that gives up', () => {
  test('leaves at once, and the others get the value', async () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    const [first, second] = [new AbortController(), new AbortController()];
    const left = reasonOf(flights.run('a', work, first.signal));
    const stays = flights.run('a', work, second.signal);
    first.abort(new Error('too late'));
    expect(await left).toBe('too late');
    expect(begun[0]!.signal.aborted).toBe(false);
    begun[0]!.end(3);
    expect(await stays).toBe(3);
  });

  test('aborts the work when it was the last one, and nobody joins that any more', async () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    const controllers = [new AbortController(), new AbortController()];
    const left = controllers.map(({ signal }) => reasonOf(flights.run('a', work, signal)));
    for (const controller of controllers) controller.abort(new Error('too late'));
    expect(await Promise.all(left)).toEqual(['too late', 'too late']);
    expect(begun[0]!.signal.aborted).toBe(true);
    expect(flights.size).toBe(0);
    const next = flights.run('a', work);
    expect(begun.length).toBe(2);
    begun[0]!.fail(new Error('aborted'));
    begun[1]!.end(4);
    expect(await next).toBe(4);
  });

  test('does not abort work that somebody without a signal waits for', async () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    const controller = new AbortController();
    const stays = flights.run('a', work);
    const left = reasonOf(flights.run('a', work, controller.signal));
    controller.abort(new Error('too late'));
    await left;
    expect(begun[0]!.signal.aborted).toBe(false);
    begun[0]!.end(5);
    expect(await stays).toBe(5);
  });

  test('before it came begins nothing', async () => {
    const flights = new SingleFlight<number>(10);
    const { begun, work } = heldWork();
    expect(await reasonOf(flights.run('a', work, AbortSignal.abort(new Error('too late'))))).toBe('too late');
    expect(begun.length).toBe(0);
  });
});

test('beyond so many keys callers work for themselves, and nothing more is remembered', async () => {
  const flights = new SingleFlight<number>(1);
  const { begun, work } = heldWork();
  const callers = ['a', 'b', 'b'].map((key) => flights.run(key, work));
  expect(begun.length).toBe(3);
  expect(flights.size).toBe(1);
  begun.forEach(({ end }, i) => void end(i));
  expect(await Promise.all(callers)).toEqual([0, 1, 2]);
});
