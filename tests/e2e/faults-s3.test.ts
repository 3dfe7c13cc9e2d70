import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { areServicesHere, type FaultyAtlas, startFaultyAtlas, statusOf, timeUntil } from './faulty-atlas.ts';
import { startPayments } from './payments.ts';

const FAULT_TIMEOUT_MS = 90_000;
const MEBIBYTE = 1_048_576;

interface FileResource {
  readonly id: string;
  readonly sizeBytes: number;
}

describe.if(areServicesHere({ s3: true }))('when S3', () => {
  let faulty: FaultyAtlas;
  let url: string;
  let authorization: { Authorization: string };
  const kept = new Map<string, Uint8Array>();
  beforeAll(async () => {
    faulty = await startFaultyAtlas({ s3: true }, { HTTP_TIMEOUT: '5', FILES_TIMEOUT: '5' });
    url = faulty.atlas.url;
    authorization = { Authorization: `Bearer ${faulty.key}` };
    for (const sizeBytes of [1000, 3 * MEBIBYTE + 17]) {
      const bytes = textOf(sizeBytes);
      const { status, file } = await upload(bytes);
      expect(status).toBe(201);
      kept.set(file!.id, bytes);
    }
  }, START_TIMEOUT_MS);
  afterAll(() => faulty?.stop(), START_TIMEOUT_MS);

  /** Returns plain text, which matches its declared type. */
  function textOf(sizeBytes: number): Uint8Array {
    const bytes = new Uint8Array(sizeBytes);
    for (let i = 0; i < sizeBytes; i++) bytes[i] = 97 + ((i * 7 + (i >> 12)) % 26);
    return bytes;
  }

  async function upload(
    bytes: Uint8Array,
  ): Promise<{ status: number; file: FileResource | null; retryAfter: string | null }> {
    const response = await fetch(`${url}/v1/files?name=notes.txt`, {
      method: 'POST',
      headers: { ...authorization, 'Content-Type': 'text/plain' },
      body: bytes as BodyInit,
    });
    const json = (await response.json()) as FileResource;
    return {
      status: response.status,
      file: response.status === 201 ? json : null,
      retryAfter: response.headers.get('Retry-After'),
    };
  }

  /** Returns what arrived of a download, even if it was cut. `whole` unless it was. */
  async function download(id: string, headers: Record<string, string> = {}) {
    const response = await fetch(`${url}/v1/files/${id}/content`, {
      headers: { ...authorization, ...headers },
    });
    const chunks: Uint8Array[] = [];
    let whole = true;
    try {
      for await (const chunk of response.body!) chunks.push(chunk);
    } catch {
      whole = false;
    }
    return { status: response.status, bytes: Buffer.concat(chunks), whole };
  }

  /** Expects that everything that does not need S3 works. */
  async function expectOthersUnharmed(): Promise<void> {
    const [id] = kept.keys();
    for (const path of [
      `/v1/accounts/${DEMO_ACCOUNTS.alice}`,
      '/v1/ping',
      '/v1/events',
      '/v1/files',
      `/v1/files/${id}`,
    ])
      expect(`${path} ${await statusOf(`${url}${path}`, authorization)}`).toBe(`${path} 200`);
    for (const path of ['/health/live', '/health/ready']) expect(await statusOf(`${url}${path}`)).toBe(200);
  }

  async function expectFilesBack(after: string): Promise<void> {
    const isBack = async () => (await upload(textOf(10))).status === 201;
    console.log(
      `files are accepted ${Math.round(await timeUntil('a file is accepted', isBack))} ms after ${after}`,
    );
    for (const [id, bytes] of kept) {
      // Each worker has its own breaker, which notices within a second.
      const isRead = async () => {
        const { status, bytes: got, whole } = await download(id);
        if (status === 503) return false;
        expect({ status, whole, same: got.equals(bytes) }).toEqual({ status: 200, whole: true, same: true });
        return true;
      };
      await timeUntil('a file is read', isRead);
    }
  }

  test(
    'is down: files get 503 with Retry-After, payments and everything else work',
    async () => {
      const payments = await startPayments(url, faulty.key);
      await until(() => payments.acknowledged > 20);
      payments.forget();
      await faulty.s3!.kill();
      const refused = await upload(textOf(5000));
      expect(refused.status).toBe(503);
      expect(Number(refused.retryAfter)).toBeGreaterThan(0);
      for (const id of kept.keys()) expect((await download(id)).status).toBe(503);
      await expectOthersUnharmed();
      await until(() => payments.acknowledged > 60);
      expect([...payments.statuses.keys()]).toEqual([201]);
      await faulty.s3!.restart();
      await expectFilesBack('S3 was started again');
      await payments.settle();
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'is frozen: files get 503 or 504 within their deadline, everything else works',
    async () => {
      await faulty.s3!.pause();
      const responses = await Promise.all([
        upload(textOf(5000)),
        ...[...kept.keys()].map((id) => download(id)),
      ]);
      for (const { status } of responses) expect([503, 504]).toContain(status);
      await expectOthersUnharmed();
      faulty.s3!.resume();
      await expectFilesBack('S3 went on');
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'cuts its connections: delivered bytes are correct, and a partial file does not look complete',
    async () => {
      const [, id] = kept.keys();
      const bytes = Buffer.from(kept.get(id!)!);
      for (const timeoutMs of [0, 5, 20]) {
        await faulty.toS3!.add({ type: 'reset_peer', timeoutMs });
        const { status, bytes: got, whole } = await download(id!);
        expect([200, 503, 504]).toContain(status);
        if (status === 200) expect(got.equals(bytes.subarray(0, got.length))).toBe(true);
        expect(status === 200 && whole && got.length !== bytes.length).toBe(false);
        await faulty.toS3!.heal();
      }
      await expectFilesBack('the network was well');
    },
    FAULT_TIMEOUT_MS,
  );

  test(
    'returns damaged bytes: 502 or a cut connection, and never a wrong byte',
    async () => {
      const [small, large] = [...kept.keys()];
      for (const [id, at] of [
        [small!, 500],
        [large!, 2 * MEBIBYTE + 5],
      ] as const) {
        const path = objectOf(kept.get(id)!.length);
        const original = readFileSync(path);
        const damaged = Buffer.from(original);
        damaged[at]! ^= 1;
        writeFileSync(path, damaged);
        const right = Buffer.from(kept.get(id)!);
        const { status, bytes: got, whole } = await download(id);
        expect(status === 502 || (status === 200 && !whole)).toBe(true);
        if (status === 200) expect(got.equals(right.subarray(0, got.length))).toBe(true);
        expect((await download(id, { Range: `bytes=${at - 2}-${at + 2}` })).status).toBe(502);
        expect((await download(id, { Range: 'bytes=0-9' })).status).toBe(at < MEBIBYTE ? 502 : 206);
        writeFileSync(path, original);
        expect((await download(id)).bytes.equals(right)).toBe(true);
      }
    },
    FAULT_TIMEOUT_MS,
  );

  /** Returns the file in which versitygw stores the object of this size. */
  function objectOf(sizeBytes: number): string {
    const paths = readdirSync(faulty.s3!.folder, { recursive: true, encoding: 'utf8' });
    const found = paths
      .map((path) => join(faulty.s3!.folder, path))
      .filter((path) => {
        const entry = statSync(path);
        return entry.isFile() && entry.size === sizeBytes;
      });
    expect(found).toHaveLength(1);
    return found[0]!;
  }
});
