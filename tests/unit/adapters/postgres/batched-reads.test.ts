import { describe, expect, test } from 'bun:test';
import { BatchedReads } from '../../../../src/adapters/postgres/batched-reads.ts';
import { AbortReason } from '../../../../src/envelope/exchange.ts';
import { AtlasError } from '../../../../src/errors.ts';
import { AbortableSignal } from '../../../../src/utils/abortable.ts';
import { exchangeOf } from '../../../support/exchange.ts';
import { inVirtualTime, pass, settled } from '../../../support/virtual-time.ts';

interface Row {
  readonly id: string;
}

interface Query {
  readonly ids: readonly string[];
  readonly signal: AbortSignal;
  /** Returns the rows of all ids except these, in reverse order. */
  respond(...missing: string[]): void;
  fail(error: unknown): void;
}

const IN_FLIGHT_MAX = 4;

/** Reads over a database whose queries the test ends. */
function heldReads(bounds: { batchIdsMax?: number; waitingMax?: number } = {}) {
  const queries: Query[] = [];
  const reads = new BatchedReads<Row>({
    read(ids, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<(readonly [string, Row])[]>();
      const respond = (...missing: string[]) =>
        resolve(
          ids
            .filter((id) => !missing.includes(id))
            .map((id) => [id, { id }] as const)
            .reverse(),
        );
      queries.push({ ids, signal, respond, fail: reject });
      return promise;
    },
    ...bounds,
  });
  return { reads, queries, idsRead: () => queries.map(({ ids }) => ids) };
}

const codeOf = (read: Promise<unknown>) =>
  read.then(
    () => 'found',
    (error: unknown) => (error instanceof AtlasError ? error.code : (error as Error).message),
  );

/** Sends as many queries as may be in flight, so that further reads wait. */
async function occupy(reads: BatchedReads<Row>): Promise<void> {
  for (let i = 0; i < IN_FLIGHT_MAX; i++) {
    void reads.find(`busy${i}`);
    await settled();
  }
}

describe('reads of one turn of the loop', () => {
  test('share one query, and each gets its own row, or null', async () => {
    const { reads, queries, idsRead } = heldReads();
    const found = Promise.all(['a', 'b', 'c'].map((id) => reads.find(id)));
    await settled();
    expect(idsRead()).toEqual([['a', 'b', 'c']]);
    queries[0]!.respond('b');
    expect(await found).toEqual([{ id: 'a' }, null, { id: 'c' }]);
  });

  test('name each id once', async () => {
    const { reads, queries, idsRead } = heldReads();
    const found = Promise.all(['a', 'b', 'a', 'a'].map((id) => reads.find(id)));
    await settled();
    expect(idsRead()).toEqual([['a', 'b']]);
    queries[0]!.respond('b');
    expect(await found).toEqual([{ id: 'a' }, null, { id: 'a' }, { id: 'a' }]);
  });

  test('are split into queries of bounded size, without reordering', async () => {
    const { reads, idsRead } = heldReads({ batchIdsMax: 2 });
    for (const id of ['a', 'b', 'a', 'c', 'd', 'e']) void reads.find(id);
    await settled();
    expect(idsRead()).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  test('all get the error of their query, and the next query is independent of it', async () => {
    const { reads, queries } = heldReads();
    const failed = Promise.all(['a', 'b'].map((id) => codeOf(reads.find(id))));
    await settled();
    queries[0]!.fail(new AtlasError('dependency_unavailable', 'PostgreSQL cannot be reached.'));
    expect(await failed).toEqual(['dependency_unavailable', 'dependency_unavailable']);
    const found = reads.find('a');
    await settled();
    queries[1]!.respond();
    expect(await found).toEqual({ id: 'a' });
  });
});

describe('while queries are in flight', () => {
  test('a read never joins one, not even for the same id', async () => {
    const { reads, queries, idsRead } = heldReads();
    const before = reads.find('a');
    await settled();
    const after = reads.find('a');
    await settled();
    expect(idsRead()).toEqual([['a'], ['a']]);
    queries[0]!.respond('a');
    queries[1]!.respond();
    expect(await before).toBeNull();
    expect(await after).toEqual({ id: 'a' });
  });

  test('reads beyond the maximum gather in one query, which is sent when another one ends', async () => {
    const { reads, queries, idsRead } = heldReads();
    await occupy(reads);
    const found: Promise<unknown>[] = [];
    for (const id of ['a', 'b']) {
      found.push(reads.find(id));
      await settled();
    }
    expect(queries).toHaveLength(IN_FLIGHT_MAX);
    queries[1]!.respond();
    await settled();
    expect(idsRead().slice(IN_FLIGHT_MAX)).toEqual([['a', 'b']]);
    queries.at(-1)!.respond();
    expect(await Promise.all(found)).toEqual([{ id: 'a' }, { id: 'b' }]);
  });

  test('reads beyond the queue are refused, with Retry-After', async () => {
    const { reads } = heldReads({ waitingMax: 2 });
    await occupy(reads);
    void reads.find('a');
    void reads.find('b');
    const refusal = await reads.find('c').catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'overloaded', retryAfterSeconds: 1 });
  });
});

describe('a caller that is aborted', () => {
  test('before the query is sent leaves, and its id is not read', async () => {
    const { reads, idsRead } = heldReads();
    const { exchange } = exchangeOf();
    const left = codeOf(reads.find('a', exchange));
    void reads.find('b');
    exchange.abort(new AbortReason('deadline'));
    expect(await left).toBe('deadline_exceeded');
    await settled();
    expect(idsRead()).toEqual([['b']]);
  });

  test('before it reads is refused', async () => {
    const { reads, queries } = heldReads();
    const { exchange } = exchangeOf();
    exchange.abort(new AbortReason('deadline'));
    expect(await codeOf(reads.find('a', exchange))).toBe('deadline_exceeded');
    expect(await codeOf(reads.find('a', new AbortableSignal(AbortSignal.abort())))).toBe('deadline_exceeded');
    await settled();
    expect(queries).toEqual([]);
  });

  test('during the query leaves immediately; the last one cancels the query', async () => {
    const { reads, queries } = heldReads();
    const { exchange } = exchangeOf();
    const controller = new AbortController();
    const first = codeOf(reads.find('a', exchange));
    const second = codeOf(reads.find('a', new AbortableSignal(controller.signal)));
    await settled();
    exchange.abort(new AbortReason('deadline'));
    expect(await first).toBe('deadline_exceeded');
    expect(queries[0]!.signal.aborted).toBe(false);
    controller.abort();
    expect(await second).toBe('deadline_exceeded');
    expect(queries[0]!.signal.aborted).toBe(true);
  });

  test('does not affect the others', async () => {
    const { reads, queries } = heldReads();
    const { exchange } = exchangeOf();
    const left = codeOf(reads.find('a', exchange));
    const stays = reads.find('b');
    await settled();
    exchange.abort(new AbortReason('deadline'));
    queries[0]!.respond();
    expect(await left).toBe('deadline_exceeded');
    expect(await stays).toEqual({ id: 'b' });
  });

  test('by a lost connection, which nothing reports, leaves a query that takes long', () =>
    inVirtualTime(async () => {
      const { reads, queries } = heldReads();
      const client = new AbortController();
      const { exchange } = exchangeOf({ signal: client.signal });
      const left = codeOf(reads.find('a', exchange));
      await settled();
      client.abort();
      await pass(100);
      expect(await left).toBe('deadline_exceeded');
      expect(queries[0]!.signal.aborted).toBe(true);
    }));

  test('after its row arrived is not the concern of the query any more', async () => {
    const { reads, queries } = heldReads();
    const { exchange } = exchangeOf();
    const found = reads.find('a', exchange);
    await settled();
    queries[0]!.respond();
    expect(await found).toEqual({ id: 'a' });
    exchange.abort(new AbortReason('deadline'));
    expect(queries[0]!.signal.aborted).toBe(false);
  });
});
