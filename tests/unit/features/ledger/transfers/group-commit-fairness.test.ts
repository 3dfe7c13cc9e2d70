import { describe, expect, test } from 'bun:test';
import {
  groupCommitOver,
  LedgerInMemory,
  outcomeOf,
  requestOf,
} from '../../../../support/ledger-in-memory.ts';
import { refusalOf } from '../../../../support/refusal.ts';
import { settled } from '../../../../support/virtual-time.ts';

const BATCH = 16;
const bounds = { batch: BATCH, waiting: 100 };

/** Submits requests while a batch of another owner is in flight, so that they wait together. */
async function whileBusy(submit: (commit: ReturnType<typeof groupCommitOver>) => Promise<unknown>[]) {
  const ledger = new LedgerInMemory();
  const commit = groupCommitOver(ledger, bounds);
  const first = commit.submit(requestOf('first', 1, 'other'));
  const inFlight = await ledger.next();
  const posted = submit(commit);
  ledger.auto = true;
  inFlight.commit();
  await Promise.all([first, ...posted]);
  return ledger.batches.slice(1);
}

describe('owners that wait for the ledger', () => {
  test('take turns in each batch, so that one with many requests does not hold up the others', async () => {
    const batches = await whileBusy((commit) => [
      ...Array.from({ length: 40 }, (_, i) => commit.submit(requestOf(`many${i}`, 1, 'many'))),
      ...Array.from({ length: 3 }, (_, i) => commit.submit(requestOf(`few${i}`, 1, 'few'))),
    ]);
    expect(batches[0]).toEqual(expect.arrayContaining(['few0', 'few1', 'few2']));
    expect(batches[0]!.filter((key) => key.startsWith('many'))).toHaveLength(BATCH - 3);
  });

  test('get the same number of transfers, not of requests', async () => {
    const batches = await whileBusy((commit) => [
      ...Array.from({ length: 10 }, (_, i) => commit.submit(requestOf(`large${i}`, 8, 'large'))),
      ...Array.from({ length: 10 }, (_, i) => commit.submit(requestOf(`small${i}`, 1, 'small'))),
    ]);
    // By the time that the first 8 transfers of the one are due, so are 8 of the other.
    const before = batches.flat().slice(0, batches.flat().indexOf('large1'));
    expect(before.filter((key) => key.startsWith('small')).length).toBeGreaterThanOrEqual(8);
  });

  test('are posted before a request that fills more than a batch', async () => {
    const batches = await whileBusy((commit) => [
      commit.submit(requestOf('huge', 50, 'huge')),
      ...Array.from({ length: 5 }, (_, i) => commit.submit(requestOf(`small${i}`, 1, 'small'))),
    ]);
    expect(batches.map((keys) => keys.length)).toEqual([5, 1]);
    expect(batches[1]).toEqual(['huge']);
  });
});

describe('requests that fill more than a batch', () => {
  test('are posted one at a time, while those of others run beside them', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger, bounds);
    const posted = ['huge0', 'huge1'].map((key) => commit.submit(requestOf(key, 40, 'huge')));
    const first = await ledger.next();
    // As if its reply did not come, which starts another lane.
    await Bun.sleep(30);
    posted.push(...Array.from({ length: 8 }, (_, i) => commit.submit(requestOf(`s${i}`, 1, 'small'))));
    const second = await ledger.next();
    expect(second.keys).toEqual(Array.from({ length: 8 }, (_, i) => `s${i}`));
    await Bun.sleep(30);
    posted.push(commit.submit(requestOf('another', 1, 'huge')));
    await settled();
    expect(ledger.batches).toHaveLength(2);
    second.commit();
    first.commit();
    ledger.auto = true;
    await Promise.all(posted);
    expect(ledger.batches.flat().filter((key) => key.startsWith('huge'))).toEqual(['huge0', 'huge1']);
  });

  test('leave others as much time as they took, as long as others are active', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger, bounds);
    const posted = [commit.submit(requestOf('small0', 1, 'small'))];
    (await ledger.next()).commit();
    posted.push(...['huge0', 'huge1'].map((key) => commit.submit(requestOf(key, 40, 'huge'))));
    const huge = await ledger.next();
    await Bun.sleep(50);
    huge.commit();
    await settled();
    expect(ledger.batches).toEqual([['small0'], ['huge0']]);
    // The next payment does not find the ledger busy again.
    posted.push(commit.submit(requestOf('small1', 1, 'small')));
    (await ledger.next()).commit();
    await posted.at(-1);
    expect(ledger.batches).toEqual([['small0'], ['huge0'], ['small1']]);
    ledger.auto = true;
    await Promise.all(posted);
    expect(ledger.batches.at(-1)).toEqual(['huge1']);
  });

  test('follow each other immediately if no other owner is active', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger, bounds);
    const own = commit.submit(requestOf('own', 1, 'huge'));
    (await ledger.next()).commit();
    const posted = ['huge0', 'huge1'].map((key) => commit.submit(requestOf(key, 40, 'huge')));
    const huge = await ledger.next();
    await Bun.sleep(200);
    huge.commit();
    const startMs = performance.now();
    (await ledger.next()).commit();
    expect(performance.now() - startMs).toBeLessThan(100);
    await Promise.all([own, ...posted]);
  });
});

describe('a full queue', () => {
  test('has room for an owner that has less in it than another, whose newest request is refused', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger, { batch: BATCH, waiting: 20 });
    const first = commit.submit(requestOf('first'));
    const inFlight = await ledger.next();
    const greedy = ['g0', 'g1', 'g2', 'g3'].map((key) =>
      outcomeOf(commit.submit(requestOf(key, 5, 'greedy'))),
    );
    const modest = commit.submit(requestOf('m0', 3, 'modest'));
    expect(await greedy[3]).toContain('Others need the room');
    expect(commit.stats()).toMatchObject({ waitingItems: 18, displaced: 1, refused: 0 });
    // Its key is free again, and its room is not.
    expect(refusalOf(() => commit.submit(requestOf('g3', 5, 'greedy')))).toMatchObject({
      code: 'queue_full',
      retryAfterSeconds: 1,
    });
    inFlight.commit();
    ledger.auto = true;
    expect(await Promise.all(greedy.slice(0, 3))).toEqual(['posted', 'posted', 'posted']);
    await Promise.all([first, modest]);
    expect(ledger.applied.has('g3')).toBe(false);
  });

  test('is shared equally, however much each owner sends', async () => {
    const ledger = new LedgerInMemory();
    const commit = groupCommitOver(ledger, { batch: BATCH, waiting: 30 });
    const first = commit.submit(requestOf('first'));
    const inFlight = await ledger.next();
    const outcomes = new Map<string, Promise<string>[]>();
    const send = (owner: string, count: number) => {
      const sent = Array.from({ length: count }, async (_, i) =>
        outcomeOf((async () => commit.submit(requestOf(`${owner}${i}`, 1, owner)))()),
      );
      outcomes.set(owner, sent);
    };
    send('a', 100);
    send('b', 100);
    send('c', 4);
    await settled();
    inFlight.commit();
    ledger.auto = true;
    await first;
    const posted = async (owner: string) =>
      (await Promise.all(outcomes.get(owner)!)).filter((outcome) => outcome === 'posted').length;
    expect([await posted('a'), await posted('b'), await posted('c')]).toEqual([13, 13, 4]);
  });
});
