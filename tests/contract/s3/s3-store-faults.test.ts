import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { ObjectStore } from '../../../src/adapters/object-store/object-store.ts';
import { partBytes } from '../../../src/adapters/s3/part-buffer.ts';
import { type OpenedObjectStore, openS3Store, type S3Options } from '../../../src/adapters/s3/s3-store.ts';
import { AtlasError } from '../../../src/errors.ts';
import { CHUNK_BYTES } from '../../../src/utils/chunk-bytes.ts';
import { isS3Here, startTestS3, type TestS3 } from '../../support/s3.ts';
import { isToxiproxyHere, startToxiproxy, type ToxicProxy, type Toxiproxy } from '../../support/toxiproxy.ts';
import { until } from '../../support/until.ts';
import {
  bodyOf,
  bytesOf,
  codeOf,
  keysOf,
  NEVER,
  put,
  read,
  s3Options,
  sha256,
  unfinished,
} from '../object-store/object-stores.ts';
import { startTamperingProxy, type Tampering } from './tampering-proxy.ts';

const PART = partBytes(1);

describe.if(isS3Here())('S3', () => {
  let s3: TestS3;
  /** A store without a proxy, which sees the actual state of S3. */
  let direct: ObjectStore;
  let opened: OpenedObjectStore[];

  const open = (changes: Partial<S3Options> = {}) => {
    const store = openS3Store(s3Options(s3, changes));
    opened.push(store);
    return store;
  };

  beforeEach(async () => {
    opened = [];
    s3 = await startTestS3();
    direct = open().store;
  });

  afterEach(async () => {
    for (const { close } of opened) close();
    await s3.stop();
  });

  describe.if(isToxiproxyHere())('behind a bad network', () => {
    let toxiproxy: Toxiproxy;
    let proxy: ToxicProxy;
    let store: ObjectStore;
    let dependencies: OpenedObjectStore['dependencies'];

    beforeEach(async () => {
      toxiproxy = await startToxiproxy();
      proxy = await toxiproxy.proxy(s3.endpoint);
      ({ store, dependencies } = open({ endpoint: proxy.url }));
    });

    afterEach(() => toxiproxy.stop());

    const unavailable = async (work: Promise<unknown>) => {
      const error = await work.catch((thrown) => thrown);
      expect(error).toBeInstanceOf(AtlasError);
      expect(error).toMatchObject({ code: 'dependency_unavailable', retryAfterSeconds: expect.any(Number) });
    };

    test('that is down: every call fails, and calls succeed again when it is back', async () => {
      await put(store, 'a', bytesOf(10));
      await proxy.disable();
      await unavailable(put(store, 'b', bytesOf(10)));
      await unavailable(put(store, 'b', bytesOf(PART + 1)));
      await unavailable(store.get('a', { signal: NEVER }));
      await unavailable(store.head('a'));
      await unavailable(store.delete('a'));
      await unavailable(keysOf(store));
      await unavailable(unfinished(store));
      expect(dependencies.map(({ state }) => state)).toEqual(['open', 'open']);
      expect(await keysOf(direct)).toEqual(['a']);
      await proxy.enable();
      await until(() => dependencies.every(({ state }) => state !== 'open'));
      await put(store, 'b', bytesOf(10));
      expect(await keysOf(store)).toEqual(['a', 'b']);
    });

    test('that is slow: calls fail at their deadline, and nothing is stored later', async () => {
      await put(store, 'a', bytesOf(10));
      await proxy.add({ type: 'latency', latencyMs: 60_000 }, 'upstream');
      const late = () => AbortSignal.timeout(200);
      expect(await codeOf(store.head('a', late()))).toBe('deadline_exceeded');
      expect(await codeOf(store.get('a', { signal: late() }))).toBe('deadline_exceeded');
      expect(await codeOf(put(store, 'b', bytesOf(10), late()))).toBe('deadline_exceeded');
      expect(await codeOf(put(store, 'b', bytesOf(PART + 1), late()))).toBe('deadline_exceeded');
      await proxy.heal();
      expect(await keysOf(direct)).toEqual(['a']);
      expect(await unfinished(direct)).toBe(0);
    });

    test('that is cut during an upload and a download: both continue', async () => {
      const bytes = bytesOf(3 * PART + 9);
      let cut = false;
      async function* body() {
        for await (const chunk of bodyOf(bytes)) {
          yield chunk;
          if (!cut) await proxy.heal();
          cut = true;
        }
      }
      expect(await put(store, 'a', body())).toEqual({ sizeBytes: bytes.byteLength });
      const reader = (await store.get('a', { signal: NEVER }))!.getReader();
      const chunks: Uint8Array[] = [];
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        chunks.push(part.value);
        await proxy.heal();
      }
      expect(sha256(Buffer.concat(chunks))).toBe(sha256(bytes));
      expect(await unfinished(direct)).toBe(0);
    });

    test('that goes down during an upload: no object is visible', async () => {
      const body = bodyOf(bytesOf(2 * PART), () => proxy.disable());
      await unavailable(put(store, 'a', body));
      expect(await keysOf(direct)).toEqual([]);
      // The abort could not reach S3, so the parts stay for `abortUploads`.
      expect(await unfinished(direct)).toBe(1);
      expect(await unfinished(direct)).toBe(0);
    });

    test('that goes down during a download: the stream fails and never ends early', async () => {
      await put(direct, 'a', bytesOf(20 * CHUNK_BYTES));
      const reader = (await store.get('a', { signal: NEVER }))!.getReader();
      await reader.read();
      await proxy.disable();
      let chunks = 1;
      const rest = async () => {
        for (let part = await reader.read(); !part.done; part = await reader.read()) chunks++;
      };
      await unavailable(rest());
      expect(chunks).toBeLessThan(20);
    });

    test('that drops all packets: calls fail once S3 is found to be silent', async () => {
      await put(store, 'a', bytesOf(10));
      await proxy.add({ type: 'timeout', timeoutMs: 0 });
      await unavailable(store.head('a'));
    });
  });

  /** Runs the work with a store behind a proxy that tampers with its traffic. */
  async function tampered(tampering: Tampering, work: (store: ObjectStore) => Promise<void>): Promise<void> {
    const proxy = await startTamperingProxy(s3.endpoint, tampering);
    try {
      await work(open({ endpoint: proxy.url }).store);
    } finally {
      await proxy.stop();
    }
  }

  test.each([200_000, PART + 200_000])(
    'rejects a body of %d bytes that was corrupted in transit',
    async (sizeBytes) => {
      let flipped = 0;
      const up = (bytes: Buffer) => {
        // Packets of the middle of a body: headers are in short ones.
        if (bytes.byteLength > 20_000) {
          bytes[10_000]! ^= 1;
          flipped++;
        }
        return bytes;
      };
      await tampered({ up }, async (store) => {
        expect(await codeOf(put(store, 'a', bytesOf(sizeBytes)))).toBe('dependency_unavailable');
      });
      expect(flipped).toBeGreaterThan(0);
      expect(await keysOf(direct)).toEqual([]);
      expect(await unfinished(direct)).toBe(0);
    },
  );

  test('whose response to the last step of an upload is lost: the upload succeeds', async () => {
    let lost = 0;
    let isLast = false;
    const tampering: Tampering = {
      up(bytes) {
        isLast = /^POST \S+\?uploadId=/.test(bytes.toString('latin1', 0, 2000));
        return bytes;
      },
      down: (bytes) => {
        if (!isLast || lost > 0) return bytes;
        lost++;
        return null;
      },
    };
    const bytes = bytesOf(PART + 1);
    await tampered(tampering, async (store) => {
      expect(await put(store, 'a', bytes)).toEqual({ sizeBytes: PART + 1 });
    });
    expect(lost).toBe(1);
    expect(sha256((await read(direct, 'a'))!)).toBe(sha256(bytes));
  });

  test('whose object is replaced during a download: the versions are not mixed', async () => {
    await put(direct, 'a', bytesOf(20 * CHUNK_BYTES));
    const reader = (await direct.get('a', { signal: NEVER }))!.getReader();
    await reader.read();
    await put(direct, 'a', bytesOf(20 * CHUNK_BYTES));
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    expect(await codeOf(rest())).toBe('dependency_unavailable');
  });

  test.each([{ secretAccessKey: 'wrong' }, { accessKeyId: 'nobody' }, { bucket: 'another-bucket' }])(
    'that rejects the credentials or bucket (%j) is reported, and not mistaken for an empty store',
    async (changes) => {
      const { store, dependencies } = open(changes);
      const all = [
        () => store.head('a'),
        () => store.get('a', { signal: NEVER }),
        () => put(store, 'a', bytesOf(1)),
        () => keysOf(store),
      ];
      for (const work of all) expect(await codeOf(work())).toBe('dependency_unavailable');
      expect(dependencies.map(({ state }) => state)).toEqual(['closed', 'closed']);
    },
  );
});
