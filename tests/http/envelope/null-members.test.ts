import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  type AccountResource,
  newKey,
  openAccount,
  postBatch,
  postTransfer,
} from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

const TARGET = { url: 'http://127.0.0.1:9/' };
const REPLAYED = 'idempotency-replayed';

let atlas: TestApp;
let [bank, account]: AccountResource[] = [];
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
  [bank, account] = [await openAccount(atlas), await openAccount(atlas)];
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const bodyOf = async (response: Response) => (await response.json()) as Record<string, unknown>;
const transfer = () => ({ debitAccountId: bank!.id, creditAccountId: account!.id, amount: 5 });

describe('on creation, null is the same as an absent member:', () => {
  test('of an account', async () => {
    const json = { ledger: 'EUR', id: null, name: null, kind: null, allowNegative: null, metadata: null };
    const response = await atlas.call('POST', '/v1/accounts', { json });
    expect(response.status).toBe(201);
    expect(await bodyOf(response)).toMatchObject({
      name: null,
      kind: null,
      allowNegative: false,
      metadata: {},
    });
    const id = crypto.randomUUID();
    const [absent, cleared] = [
      await atlas.call('POST', '/v1/accounts', { json: { id, ledger: 'EUR' } }),
      await atlas.call('POST', '/v1/accounts', { json: { ...json, id } }),
    ];
    expect([absent.status, cleared.status]).toEqual([201, 200]);
  });

  test('of a transfer, whose retry may have either', async () => {
    const key = newKey();
    const absent = await postTransfer(atlas, transfer(), key);
    const cleared = await postTransfer(
      atlas,
      { ...transfer(), id: null, reference: null, metadata: null },
      key,
    );
    expect([absent.status, cleared.status, cleared.headers.get(REPLAYED)]).toEqual([201, 201, 'true']);
    expect(await cleared.text()).toBe(await absent.text());
  });

  test('of a batch and its items, whose retry may have either', async () => {
    const key = newKey();
    const cleared = { ...transfer(), id: null, reference: null, metadata: null };
    const first = await postBatch(atlas, { transfers: [cleared], atomic: null }, key);
    const second = await postBatch(atlas, { transfers: [transfer()] }, key);
    expect([first.status, second.status, second.headers.get(REPLAYED)]).toEqual([200, 200, 'true']);
  });

  test('of a webhook', async () => {
    const created = await createWebhook(atlas, { ...TARGET, eventTypes: null, description: null });
    expect(created).toMatchObject({ eventTypes: null, description: null });
  });

  test('of a replay', async () => {
    const { id } = await createWebhook(atlas, TARGET);
    const replay = (json: object) => atlas.call('POST', `/v1/webhooks/${id}/replay`, { json });
    expect((await replay({ since: null, afterPosition: '0', includeDelivered: null })).status).toBe(202);
    expect((await replay({ since: '2026-01-31T12:00:00Z', afterPosition: null })).status).toBe(202);
    await expectProblem(atlas, await replay({ since: null, afterPosition: null }), 400, 'invalid_request', [
      '',
    ]);
  });
});

test('in a search, null is the same as an absent member', async () => {
  for (const path of ['/v1/accounts/search', '/v1/transfers/search']) {
    const [absent, cleared] = [
      await atlas.call('POST', path, { json: {} }),
      await atlas.call('POST', path, { json: { filter: null, sort: null } }),
    ];
    expect([absent.status, cleared.status]).toEqual([200, 200]);
  }
});

describe('in a PATCH, null', () => {
  test('clears what can be absent, and an absent member stays', async () => {
    const { id } = await createWebhook(atlas, {
      ...TARGET,
      eventTypes: ['file.stored.v1'],
      description: 'a',
    });
    const patch = (json: object) =>
      atlas.call('PATCH', `/v1/webhooks/${id}`, { json, headers: { 'If-Match': '*' } });
    expect(await bodyOf(await patch({ description: null }))).toMatchObject({
      description: null,
      eventTypes: ['file.stored.v1'],
    });
    expect(await bodyOf(await patch({ eventTypes: null }))).toMatchObject({ eventTypes: null });
  });

  test('is refused in plain words for what every webhook has', async () => {
    const { id } = await createWebhook(atlas, TARGET);
    const headers = { 'If-Match': '*' };
    const json = { url: null, enabled: null };
    const response = await atlas.call('PATCH', `/v1/webhooks/${id}`, { json, headers });
    const { errors } = await expectProblem(atlas, response, 400, 'invalid_request');
    expect(errors).toEqual([
      { pointer: '/url', detail: 'must be a string, not null' },
      { pointer: '/enabled', detail: 'must be true or false, not null' },
    ]);
  });
});

test('null for a required member is refused in plain words', async () => {
  const response = await postTransfer(atlas, {
    debitAccountId: null,
    creditAccountId: bank!.id,
    amount: null,
  });
  const { errors } = await expectProblem(atlas, response, 400, 'invalid_request');
  expect(errors).toEqual([
    { pointer: '/debitAccountId', detail: 'must be a string, not null' },
    { pointer: '/amount', detail: 'must be a whole number of minor units' },
  ]);
});

test('a required member that is missing is required, of whatever type it is', async () => {
  const response = await postTransfer(atlas, {});
  const { errors } = await expectProblem(atlas, response, 400, 'invalid_request');
  const pointers = ['/debitAccountId', '/creditAccountId', '/amount'];
  expect(errors).toEqual(pointers.map((pointer) => ({ pointer, detail: 'is required' })));
});

test('every optional member of every JSON body may be null, and the contract says so', () => {
  type Schema = {
    $ref?: string;
    properties?: Record<string, Schema>;
    required?: string[];
    type?: string | string[];
    oneOf?: Schema[];
    anyOf?: Schema[];
  };
  const takesNull = ({ type, oneOf = [], anyOf = [] }: Schema): boolean =>
    [type].flat().includes('null') || [...oneOf, ...anyOf].some(takesNull);
  const { paths, components } = atlas.openApi() as unknown as {
    paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>;
    components: { schemas: Record<string, Schema> };
  };
  const optional: string[] = [];
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { requestBody }] of Object.entries(operations)) {
      const schema = requestBody?.content['application/json']?.schema;
      if (schema === undefined) continue;
      const { properties = {}, required = [] } = components.schemas[schema.$ref!.split('/').at(-1)!]!;
      for (const [name, property] of Object.entries(properties)) {
        if (required.includes(name) || takesNull(property)) continue;
        optional.push(`${method} ${path} ${name}`);
      }
    }
  }
  const ofLimits = ['name', 'maxima', 'accountIds'];
  expect(optional).toEqual([
    ...ofLimits.map((name) => `patch /v1/limits/{id} ${name}`),
    ...ofLimits.map((name) => `patch /v1/operator/organizations/{id}/limits/{limitId} ${name}`),
    'patch /v1/webhooks/{id} url',
    'patch /v1/webhooks/{id} enabled',
  ]);
});
