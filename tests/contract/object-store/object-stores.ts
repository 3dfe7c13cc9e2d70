import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryStore } from '../../../src/adapters/object-store/directory-store.ts';
import type { ObjectStore } from '../../../src/adapters/object-store/object-store.ts';
import { openS3Store, type S3Options } from '../../../src/adapters/s3/s3-store.ts';
import { isS3Here, startTestS3, type TestS3 } from '../../support/s3.ts';

/** A store for a suite, to be closed at its end. */
export interface TestStore {
  readonly store: ObjectStore;
  close(): Promise<void>;
}

/** Every available store, with a function that opens an empty one. */
export const STORES: readonly (readonly [name: string, open: () => Promise<TestStore>])[] = [
  ['a directory', openTestDirectory],
  ...(isS3Here() ? [['S3', openTestS3] as const] : []),
];

/** Options for a test S3; `changes` may name the endpoint of a proxy. */
export function s3Options(s3: TestS3, changes: Partial<S3Options> = {}): S3Options {
  return {
    endpoint: s3.endpoint,
    publicEndpoint: s3.endpoint,
    region: 'us-east-1',
    bucket: s3.bucket,
    accessKeyId: s3.accessKeyId,
    secretAccessKey: s3.secretAccessKey,
    attemptsMax: 3,
    failureThreshold: 5,
    recoveryTimeoutMs: 60_000,
    ...changes,
  };
}

async function openTestDirectory(): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'atlas-test-objects-'));
  return { store: directoryStore(folder), close: () => rm(folder, { recursive: true }) };
}

async function openTestS3(): Promise<TestStore> {
  const s3 = await startTestS3();
  const { store, close } = openS3Store(s3Options(s3));
  return {
    store,
    async close() {
      close();
      await s3.stop();
    },
  };
}

export const NEVER = new AbortController().signal;
const MEDIA_TYPE = 'application/octet-stream';

/** Random bytes, so that a misplaced piece is noticed. */
export const bytesOf = (sizeBytes: number): Uint8Array<ArrayBuffer> => new Uint8Array(randomBytes(sizeBytes));

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The bytes as a body in chunks of an odd size; awaits `end` after the last one. */
export async function* bodyOf(bytes: Uint8Array, end: () => unknown = () => {}): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 65_521) yield bytes.slice(at, at + 65_521);
  await end();
}

/** Puts bytes under a key. */
export function put(
  store: ObjectStore,
  key: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal = NEVER,
): Promise<{ readonly sizeBytes: number }> {
  const chunks = body instanceof Uint8Array ? bodyOf(body) : body;
  return store.put(key, chunks, { mediaType: MEDIA_TYPE, signal });
}

/** Returns the bytes under a key, or null. */
export async function read(
  store: ObjectStore,
  key: string,
  range: { readonly first?: number; readonly last?: number } = {},
): Promise<Uint8Array | null> {
  const stream = await store.get(key, { ...range, signal: NEVER });
  return stream && new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Aborts unfinished uploads and returns their number. */
export function unfinished(store: ObjectStore, prefix = ''): Promise<number> {
  return store.abortUploads(prefix, new Date(Date.now() + 60_000));
}

/** Returns the keys in the store, sorted. */
export async function keysOf(store: ObjectStore, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** Returns the code of the error, or the error if it has none. */
export const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was thrown',
    (error) => error.code ?? error,
  );
