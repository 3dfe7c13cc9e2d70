import { describe, expect, test } from 'bun:test';
import { AtlasError } from '../../../src/errors.ts';
import { Searches } from '../../../src/features/searches.ts';
import { until } from '../../support/until.ts';

/** Searches that end when told to, and the owners of those that have started, in order. */
function searching(searches = new Searches(), max = 2) {
  const inTurn = searches.inTurn(max, 'Look for less.');
  const started: string[] = [];
  const running: PromiseWithResolvers<void>[] = [];
  const begin = (owner: string, signal?: AbortSignal) =>
    inTurn(owner, signal, () => {
      const own = Promise.withResolvers<void>();
      started.push(owner);
      running.push(own);
      return own.promise;
    });
  return { begin, started, running };
}

describe('searches of an owner', () => {
  test('run one after the other, whatever is searched for', async () => {
    const searches = new Searches();
    const graph = searching(searches);
    const transfers = searching(searches);
    const ends = [graph.begin('a'), transfers.begin('a')];
    await until(() => graph.started.length === 1);
    await Bun.sleep(5);
    expect(transfers.started).toEqual([]);
    graph.running[0]!.resolve();
    await until(() => transfers.started.length === 1);
    transfers.running[0]!.resolve();
    await Promise.all(ends);
  });

  test('pause after one that took long, and those of others do not wait for them', async () => {
    const { begin, started, running } = searching();
    const ends = [begin('a'), begin('a')];
    await until(() => started.length === 1);
    await Bun.sleep(60);
    running[0]!.resolve();
    await ends[0];
    // It has its result, and now the others have as much time as it took.
    ends.push(begin('b'));
    await until(() => started.length === 2);
    expect(started).toEqual(['a', 'b']);
    await until(() => started.length === 3);
    for (const { resolve } of running) resolve();
    await Promise.all(ends);
  });

  test('do not pause for the time that they waited for those of others', async () => {
    const { begin, started, running } = searching(new Searches(), 1);
    const ends = [begin('a'), begin('a'), begin('b'), begin('b')];
    await until(() => started.length === 1);
    await Bun.sleep(100);
    running[0]!.resolve();
    await until(() => started.length === 2);
    running[1]!.resolve();
    await until(() => started.length === 3);
    running[2]!.resolve();
    await until(() => started.length === 4);
    expect(started).toEqual(['a', 'b', 'b', 'a']);
    running[3]!.resolve();
    await Promise.all(ends);
  });

  test('whose caller has left let the next ones pass', async () => {
    const { begin, started, running } = searching();
    const leaving = new AbortController();
    const first = begin('a');
    const gone = begin('a', leaving.signal);
    const next = begin('a');
    leaving.abort();
    await until(() => started.length === 1);
    running[0]!.resolve();
    await first;
    expect(await gone.catch((error: unknown) => error)).toMatchObject({ code: 'deadline_exceeded' });
    await until(() => started.length === 2);
    running[1]!.resolve();
    await next;
  });
});

test('of all owners, as many searches of a kind run at once as are allowed', async () => {
  const { begin, started, running } = searching();
  const ends = ['a', 'b', 'c'].map((owner) => begin(owner));
  await until(() => started.length === 2);
  await Bun.sleep(5);
  expect(started).toHaveLength(2);
  running[0]!.resolve();
  await until(() => started.length === 3);
  for (const { resolve } of running) resolve();
  await Promise.all(ends);
});

test('one that takes too long says what to do', async () => {
  const inTurn = new Searches().inTurn(2, 'Look for less.');
  const late = inTurn('a', undefined, async () => {
    throw new AtlasError('deadline_exceeded', 'It took too long.');
  });
  expect(await late.catch((error: unknown) => error)).toMatchObject({
    code: 'deadline_exceeded',
    message: 'The search took too long. Look for less.',
  });
});
