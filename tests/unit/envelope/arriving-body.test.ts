import { describe, expect, test } from 'bun:test';
import { ArrivingBody } from '../../../src/envelope/arriving-body.ts';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { exchangeOf } from '../../support/exchange.ts';

const LIMIT = 64;
const TRICKLE_MS = 3;
const SLOW_READ_MS = 100;
const errors = {
  tooLarge: (bytes: number) => new Error(`over ${bytes} bytes`),
  stalled: () => new Error('stalled'),
  cut: (cause: unknown) => new Error('cut', { cause }),
};

/** Creates a body whose chunks the test supplies, and that records reads and cancellation. */
function sentBy(send: (piece: number) => Promise<Uint8Array | null> | Uint8Array | null) {
  const seen = { pulled: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const piece = await send(seen.pulled++);
        if (piece === null) controller.close();
        else controller.enqueue(piece);
      },
      cancel() {
        seen.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { body, seen };
}

function arriving(body: ReadableStream<Uint8Array>, progressMs = 10_000, firstMs = 10_000) {
  const { exchange } = exchangeOf({}, { bodyLimitBytes: LIMIT, streamsBody: true });
  return { exchange, arrived: new ArrivingBody(body, exchange, errors, progressMs, firstMs) };
}

async function lengthOf(body: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const piece of body) length += piece.byteLength;
  return length;
}

describe('a streamed body', () => {
  test('is passed on chunk by chunk, up to the limit', async () => {
    const { body, seen } = sentBy((i) => (i < 4 ? new Uint8Array(LIMIT / 4) : null));
    const { arrived } = arriving(body);
    expect(arrived.isRead).toBe(false);
    expect(await lengthOf(arrived)).toBe(LIMIT);
    expect({ isRead: arrived.isRead, cancelled: seen.cancelled }).toEqual({ isRead: true, cancelled: false });
  });

  test('is rejected at the limit, and the rest is not read', async () => {
    const { body, seen } = sentBy(() => new Uint8Array(LIMIT / 4));
    const { arrived } = arriving(body);
    await expect(lengthOf(arrived)).rejects.toThrow('over 64 bytes');
    expect({ ...seen, isRead: arrived.isRead }).toEqual({ pulled: 5, cancelled: true, isRead: false });
  });

  test('is not read ahead of its reader', async () => {
    const { body, seen } = sentBy(() => new Uint8Array(1));
    const pieces = arriving(body).arrived[Symbol.asyncIterator]();
    await pieces.next();
    await pieces.next();
    expect(seen.pulled).toBe(2);
    await pieces.return();
    expect(seen.cancelled).toBe(true);
  });

  test('fails if the sender sends nothing for too long', async () => {
    const { body } = sentBy((i) => (i === 0 ? new Uint8Array(1) : new Promise(() => {})));
    await expect(lengthOf(arriving(body, 5).arrived)).rejects.toThrow('stalled');
  });

  test('fails if it does not begin in time, which is sooner than it would if it did', async () => {
    const { body, seen } = sentBy(() => new Promise(() => {}));
    await expect(lengthOf(arriving(body, 60_000, 5).arrived)).rejects.toThrow('stalled');
    expect(seen.cancelled).toBe(true);
    const begun = sentBy(async (i) => {
      if (i === 1) await Bun.sleep(50);
      return i < 2 ? new Uint8Array(1) : null;
    });
    expect(await lengthOf(arriving(begun.body, 60_000, 20).arrived)).toBe(2);
  });

  test('fails if the sender only trickles', async () => {
    const { body, seen } = sentBy(async () => {
      await Bun.sleep(TRICKLE_MS);
      return new Uint8Array(1);
    });
    await expect(lengthOf(arriving(body, 20).arrived)).rejects.toThrow('stalled');
    expect(seen.pulled).toBeLessThan(20);
  });

  test('does not count the time of a slow reader toward the timeout', async () => {
    const { body } = sentBy((i) => (i < 4 ? new Uint8Array(1) : null));
    let length = 0;
    for await (const piece of arriving(body, 200).arrived) {
      await Bun.sleep(SLOW_READ_MS);
      length += piece.byteLength;
    }
    expect(length).toBe(4);
  });

  test('fails when the exchange is aborted, before or during a read', async () => {
    const { body, seen } = sentBy(() => new Promise(() => {}));
    const { exchange, arrived } = arriving(body);
    const reading = lengthOf(arrived);
    const reason = new AbortReason('deadline');
    exchange.abort(reason);
    await expect(reading).rejects.toMatchObject({ message: 'cut', cause: reason });
    const late = arriving(sentBy(() => new Uint8Array(1)).body);
    late.exchange.abort(reason);
    await expect(lengthOf(late.arrived)).rejects.toMatchObject({ message: 'cut', cause: reason });
    expect(seen.pulled).toBe(1);
  });

  test('reports a closed connection', async () => {
    const { body } = sentBy(() => Promise.reject(new Error('connection reset')));
    await expect(lengthOf(arriving(body).arrived)).rejects.toMatchObject({
      message: 'cut',
      cause: { message: 'connection reset' },
    });
  });
});
