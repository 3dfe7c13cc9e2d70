import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { ALL_SCOPES } from '../../../src/features.ts';
import { availableEngines } from '../../support/database.ts';
import { uploadFile } from '../../support/file-steps.ts';
import { createKey, postKey, postRevocation, postRotation } from '../../support/key-steps.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

interface Entry {
  readonly id: string;
  readonly occurredAt: string;
  readonly actor: Record<string, string>;
  readonly action: string;
  readonly target: { readonly type: string; readonly id: string };
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
  readonly position: number | null;
}

describe.each(availableEngines())('the audit log on the %s PostgreSQL', (engine) => {
  let atlas: TestApp;
  beforeAll(async () => {
    atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' }, engine);
  }, START_TIMEOUT_MS);
  afterAll(() => atlas.close());

  const headersOf = (token?: string) => (token === undefined ? {} : { Authorization: `Bearer ${token}` });
  async function list(query: Record<string, string> = {}, token?: string): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const params = new URLSearchParams({ ...query, ...(cursor !== '' && { cursor }) });
      const response = await atlas.call('GET', `/v1/audit?${params}`, { headers: headersOf(token) });
      const page = (await response.json()) as { entries: Entry[]; nextCursor: string | null };
      expect(response.status).toBe(200);
      entries.push(...page.entries);
      cursor = page.nextCursor;
    }
    return entries;
  }
  const ofTarget = (targetId: string, token?: string) => list({ targetId }, token);

  test('has who did what to what, from which request', async () => {
    const key = await createKey(atlas, { name: 'Shop', expiresInSeconds: 60 });
    const rotated = (await (await postRotation(atlas, key.id, {})).json()) as { id: string };
    const revoked = await postRevocation(atlas, key.id);
    const entries = await ofTarget(key.id);
    expect(entries.map(({ action }) => action)).toEqual([
      'api_key.revoked',
      'api_key.rotated',
      'api_key.created',
    ]);
    const [last, middle, first] = entries;
    expect(first!.after).toMatchObject({
      name: 'Shop',
      kind: 'live',
      scopes: ['ping:read'],
      expiresAt: key.expiresAt,
    });
    expect(middle!.after).toMatchObject({ replacedBy: rotated.id });
    expect(last!.target).toEqual({ type: 'api_key', id: key.id });
    expect(last!.actor.kind).toBe('key');
    expect(last!.actor.requestId).toBe(revoked.headers.get('x-request-id')!);
    expect(key.createdBy).toBe(last!.actor.id!);
  });

  test('has every change of webhooks, with what was before and after, and no secret', async () => {
    const { id, secret } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/hook?token=hidden' });
    const ifMatch = { 'If-Match': '*' };
    await atlas.call('PATCH', `/v1/webhooks/${id}`, { json: { description: 'new' }, headers: ifMatch });
    const replaced = (await (await atlas.call('POST', `/v1/webhooks/${id}/secret`)).json()) as {
      secret: string;
    };
    await atlas.call('DELETE', `/v1/webhooks/${id}`);
    const entries = await ofTarget(id);
    expect(entries.map(({ action }) => action)).toEqual([
      'webhook.deleted',
      'webhook.secret_rotated',
      'webhook.updated',
      'webhook.created',
    ]);
    expect(entries[2]).toMatchObject({ before: { description: null }, after: { description: 'new' } });
    expect(entries[0]).toMatchObject({ before: { enabled: true, description: 'new' }, after: null });
    expect(entries[3]!.after!.url).toBe('http://127.0.0.1:9/hook?…');
    for (const hidden of [secret, replaced.secret, 'hidden'])
      expect(JSON.stringify(entries)).not.toContain(hidden);
  });

  test('has the creation of accounts once, and deletions of files', async () => {
    const { id } = await openAccount(atlas);
    expect((await ofTarget(id)).map(({ action }) => action)).toEqual(['account.created']);
    const account = (await (await atlas.call('GET', `/v1/accounts/${id}`)).json()) as Record<string, unknown>;
    const { ledger, name, kind, allowNegative, metadata } = account;
    const again = { json: { id, ledger, name, kind, allowNegative, metadata } };
    expect((await atlas.call('POST', '/v1/accounts', again)).status).toBe(200);
    expect(await ofTarget(id)).toHaveLength(1);
    const file = await uploadFile(atlas, Buffer.from('text'));
    await atlas.call('DELETE', `/v1/files/${file.id}`);
    expect((await ofTarget(file.id)).map(({ action }) => action)).toContain('file.deleted');
  });

  test('has a change once, however often it is repeated, one by one or at the same time', async () => {
    await atlas.key(ALL_SCOPES, 'repeated');
    const [{ id: keyId }, account] = [await createKey(atlas), await openAccount(atlas)];
    const webhook = await createWebhook(atlas, { url: 'http://127.0.0.1:9/hook?token=1' });
    const ifMatch = { 'If-Match': '*' };
    const quota = (burst: number) => ({ requestsPerSecond: 1_000_000, burst, concurrentRequests: null });
    const organization = '/v1/operator/organizations/repeated';
    const changes: [target: string, action: string, method: string, path: string, json?: object][] = [
      ['repeated.new', 'organization.saved', 'PUT', `${organization}.new`, { name: 'New' }],
      ['repeated', 'organization.saved', 'PUT', organization, { name: 'Renamed' }],
      ['repeated', 'organization.suspended', 'PUT', `${organization}/suspension`],
      ['repeated', 'organization.reinstated', 'DELETE', `${organization}/suspension`],
      ['repeated', 'quota.set', 'PUT', '/v1/operator/quotas/organization/repeated', quota(1)],
      ['repeated', 'quota.set', 'PUT', '/v1/operator/quotas/organization/repeated', quota(2)],
      ['repeated', 'quota.reset', 'DELETE', '/v1/operator/quotas/organization/repeated'],
      [keyId, 'quota.set', 'PUT', `/v1/operator/quotas/key/${keyId}`, quota(1)],
      [keyId, 'api_key.revoked', 'POST', `/v1/api-keys/${keyId}/revoke`],
      [webhook.id, 'webhook.updated', 'PATCH', `/v1/webhooks/${webhook.id}`, { enabled: false }],
      // What the log shows of both is the same.
      [
        webhook.id,
        'webhook.updated',
        'PATCH',
        `/v1/webhooks/${webhook.id}`,
        { url: 'http://127.0.0.1:9/hook?token=2' },
      ],
      [webhook.id, 'webhook.deleted', 'DELETE', `/v1/webhooks/${webhook.id}`],
      [account.id, 'account.updated', 'PATCH', `/v1/accounts/${account.id}`, { acceptsFrom: ['repeated'] }],
    ];
    const entriesOf = (targetId: string) =>
      atlas.sql<
        { action: string }[]
      >`SELECT action FROM audit_entries WHERE target_id = ${targetId} ORDER BY id`;
    for (const [target, action, method, path, json] of changes) {
      const before = await entriesOf(target);
      const change = () => atlas.call(method, path, { headers: ifMatch, ...(json && { json }) });
      await Promise.all([change(), change(), change()]);
      await change();
      const added = (await entriesOf(target)).slice(before.length);
      expect([path, added.map((entry) => entry.action)]).toEqual([path, [action]]);
    }
  });

  test('has nothing of what was refused or replayed', async () => {
    const count = async () => (await list()).length;
    const key = await createKey(atlas, {}, { idempotencyKey: 'audited' });
    const before = await count();
    await createKey(atlas, {}, { idempotencyKey: 'audited' });
    await postKey(atlas, { name: 'x', scopes: ['nothing'] });
    await postRevocation(atlas, 'nobodynobody0000');
    const stale = { json: { description: 'x' }, headers: { 'If-Match': '"77"' } };
    const { id } = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
    expect((await atlas.call('PATCH', `/v1/webhooks/${id}`, stale)).status).toBe(412);
    expect(await count()).toBe(before + 1);
    expect((await ofTarget(key.id)).length).toBe(1);
  });

  test('a change whose entry cannot be written does not happen', async () => {
    const { id } = await createKey(atlas);
    const webhook = await createWebhook(atlas, { url: 'http://127.0.0.1:9/' });
    await atlas.sql`ALTER TABLE audit_entries ADD CONSTRAINT none CHECK (false) NOT VALID`;
    expect((await postRevocation(atlas, id)).status).toBe(500);
    expect((await atlas.call('DELETE', `/v1/webhooks/${webhook.id}`)).status).toBe(500);
    await atlas.sql`ALTER TABLE audit_entries DROP CONSTRAINT none`;
    expect(((await (await atlas.call('GET', `/v1/api-keys/${id}`)).json()) as { state: string }).state).toBe(
      'active',
    );
    expect((await atlas.call('GET', `/v1/webhooks/${webhook.id}`)).status).toBe(200);
  });

  test('commands are audited as commands', async () => {
    const token = await atlas.key(ALL_SCOPES, 'commanded');
    const [entry] = await list({}, token);
    expect(entry).toMatchObject({ action: 'api_key.created', actor: { kind: 'command' } });
    expect(entry!.actor.id).toMatch(/.+@.+/);
    expect(JSON.stringify(entry)).not.toContain(token.split('_')[3]!);
  });

  test('what operators change is in the log of the organization, as by an operator', async () => {
    const { id } = await createKey(atlas);
    const path = `/v1/operator/quotas/key/${id}`;
    const quota = { requestsPerSecond: 9000, burst: 1, concurrentRequests: null };
    expect((await atlas.call('PUT', path, { json: quota })).status).toBe(200);
    expect((await atlas.call('PUT', path, { json: { ...quota, burst: 2 } })).status).toBe(200);
    for (let i = 0; i < 2; i++) expect((await atlas.call('DELETE', path)).status).toBe(204);
    const [reset, changed, set, created] = await ofTarget(id);
    expect(created!.action).toBe('api_key.created');
    expect(set).toMatchObject({ action: 'quota.set', before: null, after: { ...quota, kind: 'key' } });
    expect(changed).toMatchObject({ before: { burst: 1 }, after: { burst: 2 } });
    expect(reset).toMatchObject({ action: 'quota.reset', before: { burst: 2 }, after: null });
    expect(set!.actor.kind).toBe('operator');
    const token = await atlas.key(ALL_SCOPES, 'locked');
    for (const method of ['PUT', 'DELETE'])
      expect((await atlas.call(method, '/v1/operator/organizations/locked/suspension')).status).toBe(200);
    const named = { json: { name: 'Locked Ltd.' } };
    expect((await atlas.call('PUT', '/v1/operator/organizations/locked', named)).status).toBe(200);
    const [saved, reinstated, suspended] = await list({}, token);
    expect(suspended).toMatchObject({ action: 'organization.suspended', before: { suspendedAt: null } });
    expect(reinstated).toMatchObject({ action: 'organization.reinstated', after: { suspendedAt: null } });
    expect(saved).toMatchObject({ before: { name: 'locked' }, after: { name: 'Locked Ltd.' } });
  });

  test('entries of other organizations are invisible, whatever the filter', async () => {
    const { id } = await createKey(atlas);
    const other = await atlas.key(ALL_SCOPES, 'outsider');
    expect(await ofTarget(id, other)).toEqual([]);
    const actorId = (await ofTarget(id))[0]!.actor.id!;
    expect(await list({ actorId }, other)).toEqual([]);
    const without = await atlas.key(['keys:read']);
    await expectProblem(
      atlas,
      await atlas.call('GET', '/v1/audit', { headers: headersOf(without) }),
      403,
      'forbidden',
    );
  });

  test('pages have every entry once, newest first, and filters choose', async () => {
    const token = await atlas.key(ALL_SCOPES, 'filtered');
    const [first] = await list({}, token);
    // The bounds are exact to the millisecond.
    await until(async () => Date.now() > Date.parse(first!.occurredAt) + 1);
    const start = new Date().toISOString();
    for (let i = 0; i < 5; i++) await createKey(atlas, {}, { token });
    const all = await list({}, token);
    expect(all).toHaveLength(6);
    expect(await list({ limit: '1' }, token)).toEqual(all);
    expect(await list({ limit: '4' }, token)).toEqual(all);
    expect(all.map(({ occurredAt }) => occurredAt)).toEqual(
      all
        .map(({ occurredAt }) => occurredAt)
        .sort()
        .reverse(),
    );
    expect(await list({ 'occurredAt[gte]': start }, token)).toHaveLength(5);
    expect(await list({ 'occurredAt[lt]': start }, token)).toHaveLength(1);
    expect(await list({ action: 'api_key.created' }, token)).toHaveLength(6);
    expect(await list({ action: 'api_key.revoked' }, token)).toHaveLength(0);
    expect(await list({ actorId: token.split('_')[2]! }, token)).toHaveLength(5);
    for (const query of [
      'occurredAt[gte]=yesterday',
      'occurredAt[lt]=0000-01-01T00:00:00Z',
      'format=xml',
      'cursor=a1',
      'who=me',
    ])
      await expectProblem(atlas, await atlas.call('GET', `/v1/audit?${query}`), 400, 'invalid_request');
  });

  test('CSV has a line for each entry, and no cell that a spreadsheet would run', async () => {
    const token = await atlas.key(ALL_SCOPES, 'sheet');
    await atlas.sql`
      INSERT INTO audit_entries (organization, actor, action, target_type, target_id)
      VALUES ('sheet', '{"kind":"key","id":"=1+1"}', 'x.y', 'x', 'say "hi", you')`;
    const response = await atlas.call('GET', '/v1/audit?format=csv&limit=1', { headers: headersOf(token) });
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(response.headers.get('link')).toContain('format=csv');
    const lines = (await response.text()).split('\r\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toStartWith('id,occurredAt,actorKind,actorId,');
    expect(lines[1]).toContain(`key,'=1+1,,,x.y,x,"say ""hi"", you"`);
  });

  test('PostgreSQL refuses to change, delete or truncate entries', async () => {
    for (const statement of [
      'UPDATE audit_entries SET actor = actor, action = action || 1',
      'DELETE FROM audit_entries',
      'TRUNCATE audit_entries',
      "UPDATE audit_entries SET position = 1, key_id = 'x', seal = sha256(''), organization = 'x'",
    ])
      await expect(atlas.sql.unsafe(statement).execute()).rejects.toThrow('immutable');
  });
});
