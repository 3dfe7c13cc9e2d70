import { afterAll, beforeAll, expect, test } from 'bun:test';
import { DEMO_CSV } from '../../../src/utils/demo-data.ts';
import { type FilesApp, sha256Of, startFilesApp, uploadFile } from '../../support/file-steps.ts';
import { createKey } from '../../support/key-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { bearer } from '../../support/user-steps.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { CREATES, createWorld, type World } from '../system/creates.ts';
import { accountChanges } from './account-changes.ts';
import type { Change } from './changes.ts';
import { documentChanges } from './document-changes.ts';
import { factorChanges } from './factor-changes.ts';
import { memberChanges } from './member-changes.ts';
import { personChanges } from './person-changes.ts';

interface Upload {
  readonly file: { readonly id: string };
  readonly upload: { readonly url: string; readonly headers: Record<string, string> };
}

let atlas: FilesApp;
let world: World;
beforeAll(async () => {
  atlas = await startFilesApp('directory', { WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1', SIGN_UP: 'open' });
  world = await createWorld(atlas, await atlas.key());
  await atlas.key(['ping:read'], 'suspended0');
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

/** Sends the request of a case of creates. */
function create(id: string): Promise<Response> {
  const { request, isPersonal } = CREATES[id]!;
  const { method, path, json, body } = request(world, 0);
  const headers = { 'Idempotency-Key': `${id}-audited`, ...(isPersonal && bearer(world.session)) };
  return atlas.call(method, path, { headers, ...(json && { json }), ...(body && { body }) });
}

async function initiate(bytes = DEMO_CSV): Promise<Upload> {
  const json = {
    name: 'a.csv',
    mediaType: 'text/csv',
    sizeBytes: bytes.length,
    sha256: sha256Of(Buffer.from(bytes)),
  };
  return (await (await atlas.call('POST', '/v1/files/uploads', { json })).json()) as Upload;
}
const put = ({ upload }: Upload, body = DEMO_CSV) =>
  atlas.call('PUT', upload.url, { body, headers: upload.headers });

/** Creates a limit, and returns its path. */
async function createLimit(): Promise<string> {
  const json = { name: 'changed', ledger: 'EUR', accountIds: [world.accounts[1]], maxima: { dayAmount: 5 } };
  const { id } = (await (await atlas.call('POST', '/v1/limits', { json })).json()) as { id: string };
  return `/v1/limits/${id}`;
}

const of = (...actions: string[]) => ({ actions });
const none = (reason: string, prepare?: Change['prepare']) => ({
  actions: [],
  reason,
  ...(prepare && { prepare }),
});

/** Every operation of the contract that changes something. */
const CHANGES: Readonly<Record<string, Change>> = {
  saveOrganization: of('organization.saved'),
  suspendOrganization: of('organization.suspended'),
  reinstateOrganization: {
    actions: ['organization.reinstated'],
    prepare: async () => () => atlas.call('DELETE', '/v1/operator/organizations/suspended0/suspension'),
  },
  setQuota: of('quota.set'),
  resetQuota: {
    actions: ['quota.reset'],
    prepare: async () => () => atlas.call('DELETE', '/v1/operator/quotas/organization/suspended0'),
  },
  createApiKey: of('api_key.created'),
  rotateApiKey: of('api_key.created', 'api_key.rotated'),
  revokeApiKey: {
    actions: ['api_key.revoked'],
    async prepare() {
      const { id } = await createKey(atlas);
      return () => atlas.call('POST', `/v1/api-keys/${id}/revoke`);
    },
  },
  openAccount: of('account.created'),
  ...accountChanges(() => atlas),
  openChart: of('account.created'),
  postTransfer: none('Transfers are immutable records themselves.'),
  postTransferBatch: none('Transfers are immutable records themselves.'),
  createHold: none('What a hold reserves never changes, and each change of its state has an event.'),
  postHold: none('It is a transfer, and has an event.'),
  voidHold: none('It has an event.', async () => () => {
    const headers = { 'Idempotency-Key': 'void-audited' };
    return atlas.call('POST', `/v1/holds/${world.hold}/void`, { headers });
  }),
  createLimit: of('limit.created'),
  changeLimit: {
    actions: ['limit.updated'],
    prepare: async () => {
      const path = await createLimit();
      const change = { json: { maxima: { dayCount: 5 } }, headers: { 'If-Match': '*' } };
      return () => atlas.call('PATCH', path, change);
    },
  },
  deleteLimit: {
    actions: ['limit.deleted'],
    prepare: async () => {
      const path = await createLimit();
      return () => atlas.call('DELETE', path);
    },
  },
  createOrganizationLimit: of('limit.created'),
  changeOrganizationLimit: {
    actions: ['limit.updated'],
    prepare: async () => {
      const path = await createLimit();
      const change = { json: { maxima: { dayCount: 5 } }, headers: { 'If-Match': '*' } };
      return () => atlas.call('PATCH', path.replace('/v1/', '/v1/operator/organizations/owner/'), change);
    },
  },
  deleteOrganizationLimit: {
    actions: ['limit.deleted'],
    prepare: async () => {
      const path = await createLimit();
      return () => atlas.call('DELETE', path.replace('/v1/', '/v1/operator/organizations/owner/'));
    },
  },
  reverseTransfer: none('It is a transfer, which names the one that it reverses.'),
  postSet: none('It is transfers and changes of holds, and an exchange has an event.'),
  createWebhook: of('webhook.created'),
  changeWebhook: {
    actions: ['webhook.updated'],
    async prepare() {
      const { id } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
      const change = { json: { enabled: false }, headers: { 'If-Match': '*' } };
      return () => atlas.call('PATCH', `/v1/webhooks/${id}`, change);
    },
  },
  deleteWebhook: {
    actions: ['webhook.deleted'],
    async prepare() {
      const { id } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
      return () => atlas.call('DELETE', `/v1/webhooks/${id}`);
    },
  },
  rotateWebhookSecret: of('webhook.secret_rotated'),
  testWebhook: none('Deliveries and their attempts are records themselves.'),
  replayWebhookDelivery: none('Deliveries and their attempts are records themselves.'),
  replayWebhookEvents: none(
    'Deliveries and their attempts are records themselves.',
    async () => () =>
      atlas.call('POST', `/v1/webhooks/${world.webhooks[0]}/replay`, { json: { afterPosition: '0' } }),
  ),
  uploadFile: of('file.stored'),
  initiateUpload: of('file.initiated'),
  uploadByLink: none('Bytes are no file yet: completing it is recorded.', async () => {
    const upload = await initiate();
    return () => put(upload);
  }),
  completeFile: {
    actions: ['file.stored'],
    async prepare() {
      const upload = await initiate();
      await put(upload);
      return () => atlas.call('POST', `/v1/files/${upload.file.id}/complete`);
    },
  },
  deleteFile: {
    actions: ['file.deleted'],
    async prepare() {
      const { id } = await uploadFile(atlas, 'deleted');
      return () => atlas.call('DELETE', `/v1/files/${id}`);
    },
  },
  createImport: of('import.created'),
  cancelImport: {
    actions: ['import.canceled'],
    async prepare() {
      const { id } = await uploadFile(atlas, 'canceled');
      const importer = await atlas.as('owner');
      const created = await importer.call('POST', '/v1/imports', {
        json: { fileId: id, format: 'csv' },
        headers: { 'Idempotency-Key': 'to-cancel' },
      });
      const { id: importId } = (await created.json()) as { id: string };
      return () => importer.call('POST', `/v1/imports/${importId}/cancel`);
    },
  },
  createOwnOrganization: of('membership.created', 'organization.saved'),
  createInvitation: of('invitation.created'),
  ...memberChanges(() => atlas),
  ...personChanges(() => atlas),
  ...factorChanges(() => atlas),
  ...documentChanges(
    () => atlas,
    () => world.accounts[0]!,
  ),
  linkFile: none('It changes nothing: a link reads a file that the caller may read.'),
  searchAccounts: {
    actions: [],
    reason: 'It changes nothing.',
    prepare: async () => () => atlas.call('POST', '/v1/accounts/search', { json: {} }),
  },
  searchTransfers: {
    actions: [],
    reason: 'It changes nothing.',
    prepare: async () => () => atlas.call('POST', '/v1/transfers/search', { json: {} }),
  },
};

/** What needs more than an Atlas, and where its entries are tested. */
const ELSEWHERE = { completeProviderSignIn: 'tests/http/identity/provider-sign-in.test.ts' };

/** The actions recorded while the work runs, in the order of the alphabet. */
async function recordedBy(work: () => Promise<unknown>): Promise<string[]> {
  const last = () => atlas.sql<[{ id: string }]>`SELECT coalesce(max(id), 0)::text AS id FROM audit_entries`;
  const [{ id }] = await last();
  await work();
  const rows = await atlas.sql<{ action: string }[]>`
    SELECT action FROM audit_entries WHERE id > ${id} ORDER BY action`;
  return rows.map(({ action }) => action);
}

test('every operation of the contract that changes something is listed, with its entries or why there are none', () => {
  const { paths } = atlas.openApi() as { paths: Record<string, Record<string, { operationId: string }>> };
  const changing = Object.values(paths).flatMap((methods) =>
    Object.entries(methods).flatMap(([method, { operationId }]) => (method === 'get' ? [] : operationId)),
  );
  expect([...Object.keys(CHANGES), ...Object.keys(ELSEWHERE)].sort()).toEqual(changing.sort());
  for (const { actions, reason } of Object.values(CHANGES))
    expect(actions.length > 0).toBe(reason === undefined);
});

test.each(Object.entries(CHANGES))('%s is recorded exactly as listed', async (id, { actions, prepare }) => {
  const send = prepare === undefined ? () => create(id) : await prepare();
  const recorded = await recordedBy(async () => {
    const { status } = await send();
    expect({ id, ok: status < 300 }).toEqual({ id, ok: true });
  });
  expect(recorded).toEqual([...actions]);
  // Payments and all others alike: a retry, or a second time, adds nothing.
  if (prepare === undefined) expect(await recordedBy(send)).toEqual([]);
});

test('what is uploaded has its size and digest in its entry, and who did it', async () => {
  const { id } = await uploadFile(atlas, 'recorded');
  const [row] = await atlas.sql`SELECT actor, before, after FROM audit_entries WHERE target_id = ${id}`;
  expect(row).toMatchObject({
    actor: { kind: 'key' },
    before: null,
    after: { mediaType: 'text/plain', sizeBytes: 8, sha256: sha256Of(Buffer.from('recorded')) },
  });
});

test('an upload by link that is refused is recorded as aborted by its caller, and one that expires by Atlas', async () => {
  const html = '<html><script>1</script></html>';
  const refused = await initiate(html);
  await put(refused, html);
  const complete = () => atlas.call('POST', `/v1/files/${refused.file.id}/complete`);
  expect(await recordedBy(complete)).toEqual(['file.aborted']);
  const expiring = await initiate();
  await atlas.sql`UPDATE files SET expires_at = now() - interval '1 minute' WHERE id = ${expiring.file.id}`;
  const settle = () => atlas.jobs.find(({ name }) => name === 'settle files')!.run();
  expect(await recordedBy(settle)).toEqual(['file.aborted']);
  const actors = await atlas.sql<{ kind: string }[]>`
    SELECT actor->>'kind' AS kind FROM audit_entries WHERE action = 'file.aborted' ORDER BY id`;
  expect(actors.map(({ kind }) => kind)).toEqual(['key', 'system']);
  // The page of the log accepts such an actor.
  const page = await (await atlas.call('GET', '/v1/audit?action=file.aborted')).json();
  expect(page).toMatchObject({ entries: [{ actor: { kind: 'system', id: 'expiry of uploads' } }, {}] });
});

test('an upload through the API that fails, or ends with its worker, is not recorded: it never was a file', async () => {
  const failing = () => atlas.call('POST', '/v1/files', { body: '<html><script>1</script></html>' });
  expect(await recordedBy(failing)).toEqual([]);
  await atlas.sql`
    INSERT INTO files (id, owner, state, name, media_type, expires_at)
    VALUES (gen_random_uuid(), 'owner', 'uploading', 'a', 'text/plain', now() - interval '1 minute')`;
  expect(await recordedBy(() => atlas.jobs.find(({ name }) => name === 'settle files')!.run())).toEqual([]);
});
