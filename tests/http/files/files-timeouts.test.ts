import { afterAll, beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { type FilesApp, gzipLike, MIB, startFilesApp, uploadFile } from '../../support/file-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { passDeadline } from '../passed-deadline.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: FilesApp;
beforeAll(async () => {
  await freshDatabase();
  atlas = await startFilesApp('directory', { HTTP_TIMEOUT: '0.3', FILES_TIMEOUT: '2' });
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** A body that sends its bytes when it is first read and ends after `pause`. */
function bodyWithPause(pause: () => Promise<void>): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      async pull(controller) {
        controller.enqueue(gzipLike(100_000));
        await pause();
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

const endlessly = () => new Promise<void>(() => {});

test('an upload may take longer than other requests', async () => {
  const body = bodyWithPause(() => passDeadline(atlas));
  expect((await atlas.call('POST', '/v1/files', { body })).status).toBe(201);
});

test('an upload that takes longer than FILES_TIMEOUT is a 504, and nothing of it is retained', async () => {
  const before = await atlas.rows();
  const body = bodyWithPause(endlessly);
  await expectProblem(atlas, await atlas.call('POST', '/v1/files', { body }), 504, 'deadline_exceeded');
  await until(() => atlas.files.stats.uploadsInFlight === 0);
  expect(await atlas.rows()).toEqual(before);
  expect(await atlas.objectIds()).toEqual(Object.keys(before));
});

test('a client may set a shorter deadline for an upload', async () => {
  const body = bodyWithPause(endlessly);
  const headers = { 'grpc-timeout': '100m' };
  const response = await atlas.call('POST', '/v1/files', { body, headers });
  await expectProblem(atlas, response, 504, 'deadline_exceeded');
});

test('a download may take longer than other requests, and no longer than FILES_TIMEOUT', async () => {
  const { id } = await uploadFile(atlas, gzipLike(2 * MIB));
  const { response, silences } = await observed('GET', `/v1/files/${id}/content`);
  // Otherwise the server would disconnect a client that pauses for longer than its idle timeout.
  expect(silences).toEqual([0]);
  const reader = response.body!.getReader();
  await reader.read();
  await passDeadline(atlas);
  expect((await reader.read()).done).toBe(false);
  await expect(reader.closed).rejects.toThrow('took too long');
  expect(atlas.files.stats.downloadsInFlight).toBe(0);
  expect(silences).toEqual([0, 255]);
});

test('a connection can time out again after an upload, a download or a completion', async () => {
  const bytes = gzipLike(MIB + 1);
  const uploaded = await observed('POST', '/v1/files', bytes);
  expect(uploaded).toMatchObject({ status: 201, silences: [0, 255] });
  const { id } = (await uploaded.response.json()) as { id: string };

  const read = await observed('GET', `/v1/files/${id}/content`);
  expect(read).toMatchObject({ status: 200, silences: [0] });
  expect(Buffer.compare(Buffer.from(await read.response.bytes()), bytes)).toBe(0);
  expect(read.silences).toEqual([0, 255]);

  // While it reads the bytes, the connection is idle.
  for (const completed of [id, crypto.randomUUID()])
    expect((await observed('POST', `/v1/files/${completed}/complete`)).silences).toEqual([0, 255]);
  const refused = await observed('GET', `/v1/files/${crypto.randomUUID()}/content`);
  expect(refused).toMatchObject({ status: 404, silences: [] });
});

/** Sends a request, and records the idle timeouts that are set on its connection. */
async function observed(method: string, path: string, body: Uint8Array<ArrayBuffer> | null = null) {
  const silences: number[] = [];
  const headers = { Host: 'atlas.test', Authorization: `Bearer ${await atlas.key()}` };
  const request = new Request(`http://atlas.test${path}`, { method, headers, body });
  const response = await atlas.fetch(request, {
    timeout: (_request, seconds) => silences.push(seconds),
    requestIP: () => null,
  });
  return { response, status: response.status, silences };
}
