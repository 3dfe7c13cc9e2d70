import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createReservedId } from '../../../src/utils/reserved-id.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { listEvents, relayAll } from '../../support/event-steps.ts';
import { type FilesApp, gzipLike, startFilesApp, uploadFile } from '../../support/file-steps.ts';
import { availableFormerReleases, type FormerHost, startFormerHost } from '../../support/former-release.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const WEBHOOKS = { WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' };
let atlas: FilesApp;
beforeAll(async () => {
  atlas = await startFilesApp('directory', WEBHOOKS);
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const bytes = gzipLike(1000);
const uploadTo = async (host: ApiCaller) => {
  const response = await host.call('POST', '/v1/files', { body: bytes });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
};
const initiateAt = async (host: ApiCaller) => {
  const json = { name: 'a.gz', mediaType: 'application/gzip', sizeBytes: 1000, sha256: '00'.repeat(32) };
  const response = await host.call('POST', '/v1/files/uploads', { json });
  expect(response.status).toBe(201);
  return ((await response.json()) as { file: { id: string } }).file.id;
};
const createWebhookAt = async (host: ApiCaller) => {
  const response = await host.call('POST', '/v1/webhooks', { json: { url: 'http://127.0.0.1:9/' } });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
};
const openAt = (host: ApiCaller, id: string, content: object = {}) =>
  host.call('POST', '/v1/accounts', { json: { id, ledger: 'EUR', ...content } });
/** What a caller learns from a refusal, apart from the id that it sent. */
const learn = async (id: string, content: object = {}) => {
  const response = await openAt(atlas, id, content);
  const headers = [...response.headers.keys()];
  const { requestId, ...problem } = await expectProblem(atlas, response, 409, 'account_id_taken');
  return JSON.stringify({ problem, headers }).replaceAll(id, 'ID');
};
const accountsUnder = async (id: string) => (await atlas.sql`SELECT FROM accounts WHERE id = ${id}`).length;

describe('no account can be opened under', () => {
  const sources: [string, () => Promise<string>][] = [
    ['the id of a file', async () => (await uploadFile(atlas, bytes)).id],
    ['the id of an upload', () => initiateAt(atlas)],
    ['the id of a webhook', () => createWebhookAt(atlas)],
    ['an id that a file may get', async () => createReservedId('file')],
    ['an id that a webhook may get', async () => createReservedId('webhook')],
    ['an id that a kind to come may get', async () => createReservedId('file').replace('-a501-', '-a50f-')],
    [
      'the id of a deleted file whose row is gone',
      async () => {
        const { id } = await uploadFile(atlas, bytes);
        expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
        expect(await atlas.rows()).not.toHaveProperty(id);
        return id;
      },
    ],
  ];
  test.each(sources)('%s, and the response is that of a taken id', async (_what, source) => {
    const id = await source();
    const { id: taken } = await openAccount(atlas, { name: 'Taken' });
    const expected = await learn(taken, { name: 'Other' });
    expect(await learn(id)).toBe(expected);
    expect(await learn(id.toUpperCase())).toContain('account_id_taken');
    expect(await accountsUnder(id)).toBe(0);
    expect((await atlas.call('GET', `/v1/accounts/${id}`)).status).toBe(404);
  });

  test('an id of a file or webhook of a former release, while it exists and after it was deleted', async () => {
    const file = Bun.randomUUIDv7();
    await atlas.sql`
      INSERT INTO files (id, owner, state, name, media_type, expires_at)
      VALUES (${file}, 'other', 'uploading', 'a', 'text/plain', now() + interval '1 hour')`;
    const webhook = Bun.randomUUIDv7();
    await atlas.sql`
      INSERT INTO webhooks (id, owner, url, secret) VALUES (${webhook}, 'other', 'http://a/', decode(repeat('00', 32), 'hex'))`;
    for (const id of [file, webhook]) await learn(id);
    await atlas.sql`DELETE FROM files WHERE id = ${file}`;
    await atlas.sql`DELETE FROM webhooks WHERE id = ${webhook}`;
    for (const id of [file, webhook]) await learn(id);
  });

  test('an id of which only events are left', async () => {
    const id = Bun.randomUUIDv7();
    await atlas.sql`
      INSERT INTO outbox (owner, type, key, sequence, occurred_at, data)
      VALUES ('other', 'file.deleted.v1', ${id}, 2, now(), ${atlas.sql.json({ fileId: id })})`;
    await relayAll(atlas);
    await learn(id);
  });
});

test('an account that exists under an id of the reserved range stays as it was', async () => {
  const id = createReservedId('file');
  await atlas.sql`ALTER TABLE accounts DISABLE TRIGGER accounts_refuse_reserved_id`;
  await openAccount(atlas, { id, allowNegative: false });
  await atlas.sql`ALTER TABLE accounts ENABLE TRIGGER accounts_refuse_reserved_id`;
  expect((await openAt(atlas, id)).status).toBe(200);
  expect((await openAt(atlas, id, { name: 'Other' })).status).toBe(409);
});

test('an account that exists is opened again after its events were sent', async () => {
  const { id } = await openAccount(atlas, { allowNegative: false });
  await relayAll(atlas);
  expect((await openAt(atlas, id)).status).toBe(200);
});

test('ids of files sort by time, so lists stay in their order', async () => {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push((await uploadFile(atlas, bytes)).id);
  const { files } = (await (await atlas.call('GET', '/v1/files?limit=200')).json()) as {
    files: { id: string }[];
  };
  expect(files.map(({ id }) => id).filter((id) => ids.includes(id))).toEqual(ids);
});

describe.each(availableFormerReleases())('beside a host of %s', (release) => {
  let former: FormerHost;
  beforeAll(async () => {
    former = await startFormerHost(release, atlas, { ATLAS_DATA_DIR: atlas.dataDir, ...WEBHOOKS });
  }, START_TIMEOUT_MS);
  afterAll(() => former.close());

  test('neither host opens an account under the id of a file or webhook, whichever has created it', async () => {
    for (const host of [atlas, former]) {
      for (const id of [await uploadTo(host), await initiateAt(host), await createWebhookAt(host)]) {
        await learn(id);
        expect((await openAt(former, id)).status).toBeGreaterThanOrEqual(400);
        expect(await accountsUnder(id)).toBe(0);
      }
    }
  });

  test('an id stays refused once its file was deleted, at any time', async () => {
    const id = await uploadTo(former);
    expect((await former.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
    await learn(id);
    await relayAll(atlas, former);
    await learn(id);
  });

  test('their relays take turns, and every owner receives all events in order', async () => {
    const files: string[] = [];
    for (let turn = 0; turn < 6; turn++) {
      const [writer, relay] = turn % 2 === 0 ? [atlas, former] : [former, atlas];
      files.push(await uploadTo(writer));
      for (const id of files) await openAt(writer, id);
      const { id: account } = await openAccount(writer);
      // The next relay continues the keys of the last one.
      if (turn > 0) expect((await writer.call('DELETE', `/v1/files/${files[turn - 1]}`)).status).toBe(204);
      await relayAll(atlas, relay);
      const opened = await listEvents(atlas, `?key=${account}`);
      expect(opened.events.map(({ type }) => type)).toEqual(['account.opened.v1']);
    }
    for (const id of files.slice(0, -1)) {
      const { events } = await listEvents(atlas, `?key=${id}`);
      expect(events.map((event) => [event.type, event.id, event.subject])).toEqual([
        ['file.stored.v1', `${id}:1`, id],
        ['file.deleted.v1', `${id}:2`, id],
      ]);
    }
    expect(await atlas.sql`SELECT FROM parked_keys`).toHaveLength(0);
  });
});
