import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ObjectStore } from '../../../src/adapters/object-store/object-store.ts';
import { partBytes } from '../../../src/adapters/s3/part-buffer.ts';
import { CHUNK_BYTES } from '../../../src/utils/chunk-bytes.ts';
import {
  bodyOf,
  bytesOf,
  codeOf,
  keysOf,
  NEVER,
  put,
  read,
  STORES,
  sha256,
  unfinished,
} from './object-stores.ts';

const PART = partBytes(1);

describe.each(STORES)('an object store in %s', (_, open) => {
  let store: ObjectStore;
  let close: () => Promise<void>;

  beforeAll(async () => {
    ({ store, close } = await open());
  });

  afterAll(() => close());

  describe('puts', () => {
    test.each([0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, PART - 1, PART, PART + 1, 3 * PART + 12_345])(
      '%d bytes and reads them back',
      async (sizeBytes) => {
        const bytes = bytesOf(sizeBytes);
        expect(await put(store, `sizes/${sizeBytes}`, bytes)).toEqual({ sizeBytes });
        const back = await read(store, `sizes/${sizeBytes}`);
        expect(sha256(back!)).toBe(sha256(bytes));
        expect((await store.head(`sizes/${sizeBytes}`))?.sizeBytes).toBe(sizeBytes);
        expect(await unfinished(store)).toBe(0);
      },
    );

    test('a body in one large chunk, and one with empty chunks', async () => {
      const bytes = bytesOf(2 * PART + 7);
      await put(store, 'one-chunk', bodyIn([bytes]));
      await put(store, 'empty-chunks', bodyIn([new Uint8Array(0), bytes.slice(0, 9), new Uint8Array(0)]));
      expect(sha256((await read(store, 'one-chunk'))!)).toBe(sha256(bytes));
      expect(await read(store, 'empty-chunks')).toEqual(bytes.slice(0, 9));
    });

    test('a body that reuses its memory for each chunk', async () => {
      const bytes = bytesOf(PART + 100_000);
      async function* reusing() {
        const room = new Uint8Array(50_000);
        for (let at = 0; at < bytes.byteLength; at += room.byteLength) {
          const length = Math.min(room.byteLength, bytes.byteLength - at);
          room.set(bytes.subarray(at, at + length));
          yield room.subarray(0, length);
          room.fill(0);
        }
      }
      await put(store, 'reused', reusing());
      expect(sha256((await read(store, 'reused'))!)).toBe(sha256(bytes));
    });

    test('a complete replacement of an existing object', async () => {
      await put(store, 'twice', bytesOf(PART + 5));
      const second = bytesOf(11);
      await put(store, 'twice', second);
      expect(await read(store, 'twice')).toEqual(second);
      expect(await keysOf(store, 'twice')).toEqual(['twice']);
    });

    test('one of several concurrent bodies under one key, never a mixture', async () => {
      const bodies = [bytesOf(PART + 1), bytesOf(PART + 1), bytesOf(100), bytesOf(2 * PART)];
      await Promise.all(bodies.map((bytes) => put(store, 'contested', bytes)));
      const back = sha256((await read(store, 'contested'))!);
      expect(bodies.map(sha256)).toContain(back);
      expect(await unfinished(store)).toBe(0);
    });

    test.each([10, PART + 10])(
      'nothing if the body fails after %d bytes, and rethrows its error',
      async (sizeBytes) => {
        const failure = new Error('the digest is another one');
        const body = bodyOf(bytesOf(sizeBytes), () => Promise.reject(failure));
        expect(await codeOf(put(store, 'fails', body))).toBe(failure);
        expect(await store.head('fails')).toBeNull();
        expect(await unfinished(store)).toBe(0);
      },
    );

    test.each([10, 2 * PART])(
      'nothing if aborted while the body stalls after %d bytes',
      async (sizeBytes) => {
        const silent = Promise.withResolvers<void>();
        const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
        const body = bodyOf(bytesOf(sizeBytes), () => {
          reach();
          return silent.promise;
        });
        const controller = new AbortController();
        const putting = codeOf(put(store, 'aborted', body, controller.signal));
        await reached;
        controller.abort(new Error('the caller went away'));
        expect(await putting).toBe('deadline_exceeded');
        silent.resolve();
        expect(await store.head('aborted')).toBeNull();
        expect(await unfinished(store)).toBe(0);
      },
    );

    test('nothing if the signal has already aborted', async () => {
      expect(await codeOf(put(store, 'late', bytesOf(1), AbortSignal.abort()))).toBe('deadline_exceeded');
      expect(await store.head('late')).toBeNull();
    });

    test('nothing over an existing object if the body fails', async () => {
      const first = bytesOf(20);
      await put(store, 'kept', first);
      const failing = bodyOf(bytesOf(PART + 1), () => Promise.reject(new Error('no')));
      await codeOf(put(store, 'kept', failing));
      expect(await read(store, 'kept')).toEqual(first);
    });
  });

  describe('gets', () => {
    const bytes = bytesOf(5 * CHUNK_BYTES + 77);
    const last = bytes.byteLength - 1;

    beforeAll(() => put(store, 'ranges', bytes));

    test.each([
      [0, 0],
      [1, 1],
      [0, CHUNK_BYTES],
      [CHUNK_BYTES - 1, CHUNK_BYTES],
      [last, last],
      [last, last + 100],
      [3, last],
      [last + 1, last + 5],
    ])('the bytes from %d to %d', async (first, end) => {
      const part = await read(store, 'ranges', { first, last: end });
      expect(sha256(part!)).toBe(sha256(bytes.slice(first, end + 1)));
    });

    test('to the end if no end is given', async () => {
      const part = await read(store, 'ranges', { first: CHUNK_BYTES + 3 });
      expect(sha256(part!)).toBe(sha256(bytes.slice(CHUNK_BYTES + 3)));
      expect(await read(store, 'ranges', { first: bytes.byteLength })).toEqual(new Uint8Array(0));
    });

    test('in whole chunks, counted from the first requested byte', async () => {
      const stream = await store.get('ranges', { first: 9, signal: NEVER });
      const sizes: number[] = [];
      for await (const chunk of stream!) sizes.push(chunk.byteLength);
      expect(sizes).toEqual([...Array(5).fill(CHUNK_BYTES), 77 - 9]);
    });

    test('null if there is no object', async () => {
      expect(await store.get('nothing', { signal: NEVER })).toBeNull();
      expect(await store.get('nothing', { first: 5, last: 9, signal: NEVER })).toBeNull();
      expect(await store.head('nothing')).toBeNull();
    });

    test('an error once the signal aborts', async () => {
      const controller = new AbortController();
      const stream = await store.get('ranges', { signal: controller.signal });
      const reader = stream!.getReader();
      expect((await reader.read()).done).toBe(false);
      const gone = new Error('the caller went away');
      controller.abort(gone);
      expect(await codeOf(reader.read())).toBe(gone);
      expect(await codeOf(store.get('ranges', { signal: controller.signal }))).toBe('deadline_exceeded');
    });

    test('nothing more after the stream is canceled', async () => {
      const stream = await store.get('ranges', { signal: NEVER });
      const reader = stream!.getReader();
      await reader.read();
      await reader.cancel();
      expect(await reader.read()).toEqual({ done: true, value: undefined });
    });
  });

  describe('lists', () => {
    test('every object under a prefix once, over many pages', async () => {
      const keys = Array.from({ length: 1203 }, (_, i) => `many/${i}`).sort();
      for (let at = 0; at < keys.length; at += 50)
        await Promise.all(keys.slice(at, at + 50).map((key) => put(store, key, new Uint8Array(1))));
      await put(store, 'other/1', new Uint8Array(1));
      expect(await keysOf(store, 'many/')).toEqual(keys);
    });

    test('their sizes and times', async () => {
      const beforeMs = Date.now();
      await put(store, 'facts/a', bytesOf(321));
      const [found, ...others] = await Array.fromAsync(store.list('facts/'));
      expect(others).toEqual([]);
      expect(found).toMatchObject({ key: 'facts/a', sizeBytes: 321 });
      // S3 reports whole seconds.
      expect(Math.abs(found!.modifiedAt.getTime() - beforeMs)).toBeLessThan(60_000);
      expect(await store.head('facts/a')).toEqual({ sizeBytes: 321, modifiedAt: expect.any(Date) });
    });

    test('nothing under a prefix without keys', async () => {
      expect(await keysOf(store, 'no-such-prefix/')).toEqual([]);
    });
  });

  test('deletes an object, and does nothing the second time', async () => {
    await put(store, 'gone', bytesOf(5));
    await store.delete('gone');
    expect(await read(store, 'gone')).toBeNull();
    expect(await keysOf(store, 'gone')).toEqual([]);
    await store.delete('gone');
  });

  test('aborts uploads under a prefix that started before a time, and no others', async () => {
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
    const silent = Promise.withResolvers<void>();
    const bytes = bytesOf(2 * PART);
    const body = bodyOf(bytes, () => {
      reach();
      return silent.promise;
    });
    const putting = codeOf(put(store, 'ended/a', body));
    await reached;
    expect(await store.abortUploads('', new Date(Date.now() - 60_000))).toBe(0);
    expect(await unfinished(store, 'others/')).toBe(0);
    expect(await unfinished(store, 'ended/')).toBe(1);
    silent.resolve();
    expect(await putting).not.toBe('nothing was thrown');
    expect(await store.head('ended/a')).toBeNull();
    expect(await unfinished(store)).toBe(0);
  });

  test.each(['', '/', 'a//b', '../a', 'a/../b', 'a.b', 'A', 'a b', 'ä', 'a/', '/a', `${'a'.repeat(201)}`])(
    'rejects the key %p',
    async (key) => {
      const all = [
        put(store, key, bytesOf(1)),
        store.get(key, { signal: NEVER }),
        (async () => store.head(key))(),
        store.delete(key),
        store.presignGet(key, { disposition: 'attachment', mediaType: 'text/plain' }, 60),
      ];
      for (const work of all) expect(await codeOf(work)).toBeInstanceOf(TypeError);
    },
  );
});

async function* bodyIn(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
