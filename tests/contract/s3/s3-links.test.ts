import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { ObjectStore } from '../../../src/adapters/object-store/object-store.ts';
import { openS3Store } from '../../../src/adapters/s3/s3-store.ts';
import { isS3Here, startTestS3, type TestS3 } from '../../support/s3.ts';
import { until } from '../../support/until.ts';
import { bytesOf, put, read, s3Options, sha256 } from '../object-store/object-stores.ts';

describe.if(isS3Here())('a link to S3', () => {
  let s3: TestS3;
  let store: ObjectStore;
  let close: () => void;

  beforeAll(async () => {
    s3 = await startTestS3();
    ({ store, close } = openS3Store(s3Options(s3)));
  });

  afterAll(async () => {
    close();
    await s3.stop();
  });

  const bytes = bytesOf(100_000);
  const declared = { sizeBytes: bytes.byteLength, sha256: sha256(bytes), mediaType: 'application/pdf' };
  const link = (key: string, expiresSeconds = 60) => store.presignPut(key, declared, expiresSeconds);

  /** Sends a request with the link and without credentials. Returns the status. */
  async function send(
    url: string,
    method: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
  ) {
    const { 'Content-Length': _, ...sent } = headers;
    const response = await fetch(url, {
      method,
      headers: sent,
      body: body as BodyInit,
      signal: AbortSignal.timeout(5000),
    });
    await response.body?.cancel();
    return response.status;
  }

  test('accepts exactly the declared bytes, also a second time', async () => {
    const { url, headers } = await link('exact');
    expect(new URL(url).origin).toBe(s3.endpoint);
    expect(await send(url, 'PUT', headers, bytes)).toBe(200);
    expect(await send(url, 'PUT', headers, bytes)).toBe(200);
    expect(sha256((await read(store, 'exact'))!)).toBe(declared.sha256);
  });

  test('accepts an empty object', async () => {
    const none = new Uint8Array(0);
    const what = { sizeBytes: 0, sha256: sha256(none), mediaType: 'text/plain' };
    const { url, headers } = await store.presignPut('empty', what, 60);
    expect(await send(url, 'PUT', headers, none)).toBe(200);
    expect((await store.head('empty'))?.sizeBytes).toBe(0);
  });

  const flipped = Uint8Array.from(bytes, (byte, i) => (i === 50_000 ? byte ^ 1 : byte));
  test.each([
    ['other bytes of the same size', flipped],
    ['fewer bytes', bytes.slice(1)],
    ['more bytes', new Uint8Array([...bytes, 0])],
    ['no bytes', new Uint8Array(0)],
  ])('rejects %s', async (what, body) => {
    const key = what.replaceAll(' ', '-');
    const { url, headers } = await link(key);
    expect(await send(url, 'PUT', headers, body)).toBeOneOf([400, 403]);
    expect(await store.head(key)).toBeNull();
  });

  test('rejects other headers than its own', async () => {
    const { url, headers } = await link('headers');
    const { 'x-amz-checksum-sha256': checksum, ...unchecked } = headers;
    const otherChecksum = Buffer.from(sha256(flipped), 'hex').toString('base64');
    const wrong = [
      unchecked,
      { ...headers, 'x-amz-checksum-sha256': otherChecksum },
      { ...headers, 'Content-Type': 'text/html' },
    ];
    for (const given of wrong) expect(await send(url, 'PUT', given, flipped)).toBeOneOf([400, 403]);
    expect(checksum).toBeString();
    expect(await store.head('headers')).toBeNull();
  });

  test('cannot make the object unreadable with an encoding that its bytes do not have', async () => {
    const { url, headers } = await link('encoded');
    expect(await send(url, 'PUT', { ...headers, 'Content-Encoding': 'gzip' }, bytes)).toBe(200);
    expect(sha256((await read(store, 'encoded'))!)).toBe(declared.sha256);
    const what = { disposition: 'attachment', mediaType: 'application/pdf' };
    const download = await fetch((await store.presignGet('encoded', what, 60)).url);
    expect(download.headers.get('content-encoding')).toBe('identity');
    expect(sha256(new Uint8Array(await download.arrayBuffer()))).toBe(declared.sha256);
  });

  test('is for one key and one method, and cannot be altered', async () => {
    const { url, headers } = await link('one');
    expect(await send(url.replace('/one?', '/other?'), 'PUT', headers, bytes)).toBe(403);
    expect(await send(url.replace('Expires=60', 'Expires=600'), 'PUT', headers, bytes)).toBe(403);
    expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(403);
    expect((await fetch(url, { headers })).status).toBe(403);
    expect(await Array.fromAsync(store.list('o'))).toEqual([]);
  });

  test('is rejected once it has expired', async () => {
    const { url, headers } = await link('expired', 1);
    // Wrong bytes are rejected with 400 until the link itself is rejected.
    await until(async () => (await send(url, 'PUT', headers, flipped)) === 403, { pollMs: 50 });
    expect(await send(url, 'PUT', headers, bytes)).toBe(403);
    expect(await store.head('expired')).toBeNull();
  });

  test('serves the object with the disposition and type that it was signed for', async () => {
    await put(store, 'given', bytes);
    const what = { disposition: `attachment; filename*=UTF-8''%E2%82%AC.pdf`, mediaType: 'application/pdf' };
    const { url } = await store.presignGet('given', what, 60);
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-disposition')).toBe(what.disposition);
    expect(response.headers.get('content-type')).toBe(what.mediaType);
    expect(sha256(new Uint8Array(await response.arrayBuffer()))).toBe(declared.sha256);
    expect((await fetch(url.replace('application%2Fpdf', 'text%2Fhtml'))).status).toBe(403);
    expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
  });
});

describe('a link to an S3 with a public endpoint', () => {
  test('uses the public endpoint', async () => {
    const access = { region: 'us-east-1', bucket: 'atlas', accessKeyId: 'a', secretAccessKey: 's' };
    const limits = { attemptsMax: 1, failureThreshold: 5, recoveryTimeoutMs: 1000 };
    const endpoints = { endpoint: 'http://s3.internal:9000', publicEndpoint: 'https://files.example.com/' };
    const { store, close } = openS3Store({ ...endpoints, ...access, ...limits });
    const { url } = await store.presignGet('key', { disposition: 'attachment', mediaType: 'text/plain' }, 60);
    expect(url).toStartWith('https://files.example.com/atlas/key?');
    expect(url).not.toContain('internal');
    close();
  });
});
