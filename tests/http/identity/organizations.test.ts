import { afterAll, beforeAll, expect, test } from 'bun:test';
import { seed } from '../../../src/cli/seed.ts';
import { DEMO } from '../../../src/utils/demo-data.ts';
import { isolate } from '../../support/key-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { bearer, createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

interface Organization {
  readonly id: string;
  readonly name: string;
  readonly suspendedAt: string | null;
}

const pathOf = (id: string) => `/v1/operator/organizations/${encodeURIComponent(id)}`;
const jsonOf = async (response: Response) => (await response.json()) as Organization;
const ping = (token: string) =>
  atlas.call('GET', '/v1/ping', { headers: { Authorization: `Bearer ${token}` } });

test('an operator suspends an organization: its keys get 403 within 5 s, no others, until it is reinstated', async () => {
  const [token, other] = [await atlas.key(undefined, 'late/payer ü'), await atlas.key(undefined, 'neighbor')];
  expect((await ping(token)).status).toBe(200);
  const suspension = `${pathOf('late/payer ü')}/suspension`;
  const suspended = await jsonOf(await atlas.call('PUT', suspension));
  expect(suspended).toMatchObject({ id: 'late/payer ü', suspendedAt: expect.stringMatching(/^20.*Z$/) });
  await until(async () => (await ping(token)).status === 403, { deadlineMs: 5000 });
  await expectProblem(atlas, await ping(token), 403, 'organization_suspended');
  expect((await ping(other)).status).toBe(200);
  // It was suspended once, and says since when.
  expect(await jsonOf(await atlas.call('PUT', suspension))).toEqual(suspended);

  expect((await jsonOf(await atlas.call('DELETE', suspension))).suspendedAt).toBeNull();
  expect((await jsonOf(await atlas.call('DELETE', suspension))).suspendedAt).toBeNull();
  await until(async () => (await ping(token)).status === 200, { deadlineMs: 5000 });
});

test('test keys of a suspended organization are refused, too', async () => {
  await isolate(atlas);
  const { token } = await atlas.keys.create({
    owner: 'tester',
    kind: 'test',
    name: 'test',
    scopes: ['ping:read'],
    expiresAt: null,
  });
  await atlas.call('PUT', `${pathOf('tester')}/suspension`);
  await until(async () => (await ping(token)).status === 403, { deadlineMs: 5000 });
});

test('what a suspended organization stored stays', async () => {
  const authorization = { Authorization: `Bearer ${await atlas.key(undefined, 'keeper')}` };
  const read = () =>
    atlas.call('GET', '/v1/accounts/0198f0d0-0000-7000-8000-000000000077', { headers: authorization });
  const account = { id: '0198f0d0-0000-7000-8000-000000000077', ledger: 'USD', name: 'stays' };
  await atlas.call('POST', '/v1/accounts', { json: account, headers: authorization });
  await atlas.call('PUT', `${pathOf('keeper')}/suspension`);
  await until(async () => (await read()).status === 403, { deadlineMs: 5000 });
  await atlas.call('DELETE', `${pathOf('keeper')}/suspension`);
  await until(async () => (await read()).status === 200, { deadlineMs: 5000 });
  expect(await (await read()).json()).toMatchObject(account);
});

test('an operator creates and renames an organization', async () => {
  const created = await atlas.call('PUT', pathOf('new'), { json: { name: 'New Ltd.' } });
  expect(created.status).toBe(201);
  expect(await created.json()).toMatchObject({ id: 'new', name: 'New Ltd.', suspendedAt: null });
  await atlas.call('PUT', `${pathOf('new')}/suspension`);
  const renamed = await atlas.call('PUT', pathOf('new'), { json: { name: 'Newer Ltd.' } });
  expect(renamed.status).toBe(200);
  // Renaming it must not let it in again.
  expect(await renamed.json()).toMatchObject({ name: 'Newer Ltd.', suspendedAt: expect.any(String) });
  expect(await jsonOf(await atlas.call('GET', pathOf('new')))).toMatchObject({
    id: 'new',
    name: 'Newer Ltd.',
  });
});

test.each(['acme~test', '~operators'])('%s is reserved, so no organization is created', async (id) => {
  const response = await atlas.call('PUT', pathOf(id), { json: { name: 'x' } });
  await expectProblem(atlas, response, 400, 'invalid_request', ['/path/id']);
  expect(await atlas.sql`SELECT FROM organizations WHERE id = ${id}`).toHaveLength(0);
});

test('a new organization cannot have an ID with ~, and one that exists can be renamed', async () => {
  const put = () => atlas.call('PUT', pathOf('old~style'), { json: { name: 'Old' } });
  await expectProblem(atlas, await put(), 404, 'organization_not_found');
  expect(await atlas.sql`SELECT FROM organizations WHERE id = 'old~style'`).toHaveLength(0);
  await atlas.sql`INSERT INTO organizations (id, name) VALUES ('old~style', 'old~style')`;
  expect((await put()).status).toBe(200);
});

test.each(['  ', '\t', '\u00a0', '\u200b', ' acme', 'acme ', 'acme\n', 'a\u0007b', 'a\u2028b'])(
  'a new organization cannot have the ID %j, which nobody could read',
  async (id) => {
    const put = () => atlas.call('PUT', pathOf(id), { json: { name: 'x' } });
    const { detail } = await expectProblem(atlas, await put(), 404, 'organization_not_found');
    expect(detail).toContain('the ID of a new one must not be blank');
    await expect(atlas.key(['ping:read'], id)).rejects.toThrow('the ID of a new one must not be blank');
    expect(await atlas.sql`SELECT FROM organizations WHERE id = ${id}`).toHaveLength(0);
    // One of an earlier release can still be renamed.
    await atlas.sql`INSERT INTO organizations (id, name) VALUES (${id}, ${id})`;
    expect((await put()).status).toBe(200);
  },
);

test('the names of organizations and keys are not blank', async () => {
  for (const name of ['  ', '\u00a0', '\u200b']) {
    const organization = await atlas.call('PUT', pathOf('named'), { json: { name } });
    await expectProblem(atlas, organization, 400, 'invalid_request', ['/name']);
    const key = await atlas.call('POST', '/v1/api-keys', { json: { name, scopes: ['ping:read'] } });
    await expectProblem(atlas, key, 400, 'invalid_request', ['/name']);
  }
});

test('no name of an organization, a key or a person has invisible characters, or such that reorder others', async () => {
  const person = await createUser(atlas, { organization: 'named' });
  const put = (name: string) => [
    atlas.call('PUT', pathOf('named'), { json: { name } }),
    atlas.call('POST', '/v1/api-keys', { json: { name, scopes: ['ping:read'] } }),
    atlas.call('PATCH', '/v1/users/me', { json: { name }, headers: bearer(person.token) }),
    atlas.call('POST', '/v1/users', {
      json: { email: 'hidden@example.com', password: 'tulip anchor velvet', name },
    }),
  ];
  for (const name of [
    'Ada\u202egnp.exe',
    'Ada\u200b',
    'A\u200dda',
    'a\nb',
    'a\u2028b',
    'Ada\u3164',
    'Ada\u2066',
  ])
    for (const response of await Promise.all(put(name)))
      await expectProblem(atlas, response, 400, 'invalid_request', ['/name']);
  for (const name of ['علی\u200cرضا', '👩\u200d💻 Ada', 'Zoë Müller-Őz', '李 雷'])
    for (const { status } of await Promise.all(put(name).slice(0, 3)))
      expect([name, status < 300]).toEqual([name, true]);
  const stored = 'Ada\u202e';
  await atlas.sql`UPDATE users SET name = ${stored} WHERE id = ${person.id}`;
  const own = await atlas.call('GET', '/v1/users/me', { headers: bearer(person.token) });
  expect(await jsonOf(own)).toMatchObject({ name: stored });
});

test('repeating the demo data neither renames its organization nor is audited again', async () => {
  await seed(atlas.features);
  await atlas.call('PUT', pathOf(DEMO.organization), { json: { name: 'Renamed' } });
  const audited = () => atlas.sql`SELECT id FROM audit_entries WHERE target_id = ${DEMO.organization}`;
  const before = (await audited()).length;
  await seed(atlas.features);
  expect((await jsonOf(await atlas.call('GET', pathOf(DEMO.organization)))).name).toBe('Renamed');
  expect(await audited()).toHaveLength(before);
});

test('an organization that does not exist is a 404, and is not created by suspending it', async () => {
  for (const [method, path] of [
    ['GET', pathOf('nobody')],
    ['PUT', `${pathOf('nobody')}/suspension`],
    ['DELETE', `${pathOf('nobody')}/suspension`],
  ] as const)
    await expectProblem(atlas, await atlas.call(method, path), 404, 'organization_not_found');
  expect(await atlas.sql`SELECT FROM organizations WHERE id = 'nobody'`).toHaveLength(0);
});

test('all organizations are listed, page by page, by ID', async () => {
  for (const id of ['list-1', 'list-2', 'List 3 ü'])
    await atlas.call('PUT', pathOf(id), { json: { name: id } });
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${cursor}`;
    const response = await atlas.call('GET', `/v1/operator/organizations?limit=1${query}`);
    const page = (await response.json()) as { organizations: Organization[]; nextCursor: string | null };
    expect(page.organizations).toHaveLength(1);
    found.push(page.organizations[0]!.id);
    cursor = page.nextCursor;
  } while (cursor !== null);
  const stored = await atlas.sql<{ id: string }[]>`SELECT id FROM organizations ORDER BY id`;
  expect(found).toEqual(stored.map(({ id }) => id));
  expect(found).toEqual(expect.arrayContaining(['list-1', 'list-2', 'List 3 ü']));
});

test('keys of organizations reach none of it, whatever their scopes', async () => {
  const headers = { Authorization: `Bearer ${await atlas.key(undefined, 'curious')}` };
  for (const [method, path, json] of [
    ['GET', '/v1/operator/organizations'],
    ['GET', pathOf('curious')],
    ['PUT', pathOf('curious'), { name: 'x' }],
    ['PUT', `${pathOf('owner')}/suspension`],
    ['DELETE', `${pathOf('owner')}/suspension`],
  ] as const) {
    const response = await atlas.call(method, path, { headers, ...(json && { json }) });
    await expectProblem(atlas, response, 403, 'forbidden');
  }
  const [row] = await atlas.sql`SELECT name, suspended_at FROM organizations WHERE id = 'curious'`;
  expect(row).toEqual({ name: 'curious', suspendedAt: null });
});
