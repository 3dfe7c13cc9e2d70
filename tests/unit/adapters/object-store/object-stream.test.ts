import { expect, test } from 'bun:test';
import { objectStream } from '../../../../src/adapters/object-store/object-stream.ts';

/** A source of numbered bytes that counts its reads and releases, and records the signal it was given. */
function source(length: number) {
  const seen = { reads: 0, released: 0, signal: null as AbortSignal | null };
  const read = async function* (signal: AbortSignal) {
    seen.signal = signal;
    for (let i = 0; i < length; i++) {
      seen.reads++;
      yield new Uint8Array([i]);
    }
  };
  const release = async () => {
    seen.released++;
  };
  return { seen, open: (signal = new AbortController().signal) => objectStream(read, signal, release) };
}

/** Lets the release run, which nothing waits for. */
const settled = () => Bun.sleep(0);

test('a stream reads one item per pull, and releases its source once at the end', async () => {
  const { seen, open } = source(3);
  const reader = open().getReader();
  expect((await reader.read()).value).toEqual(new Uint8Array([0]));
  expect(seen).toMatchObject({ reads: 1, released: 0 });
  while (!(await reader.read()).done);
  await settled();
  expect(seen).toMatchObject({ reads: 3, released: 1 });
});

test('a stream that is canceled before the first read releases its source, without reading', async () => {
  const { seen, open } = source(3);
  await open().cancel();
  await settled();
  expect(seen).toMatchObject({ reads: 0, released: 1 });
});

test('canceling aborts the signal of the read', async () => {
  const { seen, open } = source(3);
  const reader = open().getReader();
  await reader.read();
  await reader.cancel();
  await settled();
  expect(seen.signal?.aborted).toBe(true);
  expect(seen.released).toBe(1);
});

test('an abort fails the stream with its reason, also if it came before the stream', async () => {
  const reason = new Error('the caller went away');
  const caller = new AbortController();
  const { seen, open } = source(3);
  const reader = open(caller.signal).getReader();
  await reader.read();
  caller.abort(reason);
  await expect(reader.read()).rejects.toBe(reason);
  await settled();
  expect(seen.released).toBe(1);
  const late = source(3);
  await expect(late.open(AbortSignal.abort(reason)).getReader().read()).rejects.toBe(reason);
  await settled();
  expect(late.seen).toMatchObject({ reads: 0, released: 1 });
});

test('an error of the read fails the stream and releases its source', async () => {
  const failure = new Error('the disk failed');
  let released = 0;
  const read = async function* (): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1);
    throw failure;
  };
  const reader = objectStream(read, new AbortController().signal, async () => void released++).getReader();
  await reader.read();
  await expect(reader.read()).rejects.toBe(failure);
  await settled();
  expect(released).toBe(1);
});
