import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { OrganizationResource } from '../../../src/features/identity/organizations/organization-resource.ts';
import { createStandingRepository } from '../../../src/features/identity/standing/repository.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { auditOf, callAs, createStaff, rolesIn } from '../../support/member-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { addMember, createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

interface Caller {
  readonly token: string;
}
const create = (caller: Caller, name: string, headers: Record<string, string> = {}) =>
  callAs(atlas, caller, 'POST', '/v1/organizations', { name }, headers);
const list = async (caller: Caller) => {
  const response = await callAs(atlas, caller, 'GET', '/v1/organizations');
  expect(response.status).toBe(200);
  return ((await response.json()) as { organizations: (OrganizationResource & { role: string })[] })
    .organizations;
};

test('an owner creates another organization, owns it, and finds it in their list', async () => {
  const { owner } = await createStaff(atlas, 'first');
  const response = await create(owner, 'Second Ltd.');
  expect(response.status).toBe(201);
  const created = (await response.json()) as OrganizationResource;
  expect(response.headers.get('location')).toBe(`/v1/organizations/${created.id}`);
  expect(created).toMatchObject({ name: 'Second Ltd.', suspendedAt: null });
  expect(await rolesIn(atlas, created.id)).toEqual({ [owner.id]: 'owner' });
  expect(await list(owner)).toEqual([
    { ...created, role: 'owner' },
    expect.objectContaining({ id: 'first', name: 'first', role: 'owner' }),
  ]);
  expect((await auditOf(atlas, created.id, 'organization'))[0]).toEqual({
    action: 'organization.saved',
    targetId: created.id,
    before: null,
    after: { name: 'Second Ltd.', suspendedAt: null },
  });
  expect(await auditOf(atlas, created.id, 'membership')).toHaveLength(1);
});

test('unless sign-up is open, only owners of an organization that is not suspended create one', async () => {
  const { admin, owner } = await createStaff(atlas, 'closed');
  const stranger = await createUser(atlas);
  for (const caller of [admin, stranger])
    await expectProblem(atlas, await create(caller, 'x'), 403, 'organization_creation_closed');
  await atlas.sql`UPDATE organizations SET suspended_at = now() WHERE id = 'closed'`;
  await expectProblem(atlas, await create(owner, 'x'), 403, 'organization_creation_closed');
  expect(await list(admin)).toHaveLength(1);

  const open = await startTestApp({ SIGN_UP: 'open' });
  try {
    const anybody = await createUser(open);
    const json = { name: 'Mine' };
    const headers = { Authorization: `Bearer ${anybody.token}` };
    expect((await open.call('POST', '/v1/organizations', { json, headers })).status).toBe(201);
  } finally {
    await open.close();
  }
});

test('a user owns 20 organizations at most, however many are created at once', async () => {
  const { owner } = await createStaff(atlas, 'collector');
  const responses = await Promise.all(Array.from({ length: 24 }, (_, i) => create(owner, `Nr. ${i}`)));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(19);
  const refused = responses.find(({ status }) => status !== 201)!;
  await expectProblem(atlas, refused, 422, 'too_many_organizations');
  expect(await list(owner)).toHaveLength(20);
});

test('a retry with the same Idempotency-Key creates one organization, and the key of another user is another', async () => {
  const [{ owner }, other] = [await createStaff(atlas, 'twice'), await createStaff(atlas, 'thrice')];
  const key = { 'Idempotency-Key': 'create-once' };
  const first = await create(owner, 'Once', key);
  const second = await create(owner, 'Once', key);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  const created = (await first.json()) as OrganizationResource;
  expect(await second.json()).toEqual(created);
  expect(await list(owner)).toHaveLength(2);
  await expectProblem(atlas, await create(owner, 'Other', key), 422, 'idempotency_key_reused');
  const others = (await (await create(other.owner, 'Once', key)).json()) as OrganizationResource;
  expect(others.id).not.toBe(created.id);
});

test('owners rename their organization, and nobody else does', async () => {
  const staff = await createStaff(atlas, 'named');
  const rename = (caller: Caller, name: string) =>
    callAs(atlas, caller, 'PATCH', '/v1/organizations/named', { name });
  for (const role of ['admin', 'member', 'viewer'] as const)
    await expectProblem(atlas, await rename(staff[role], 'x'), 403, 'forbidden');
  const renamed = await rename(staff.owner, 'Named Ltd.');
  expect(renamed.status).toBe(200);
  const organization = await renamed.json();
  expect(organization).toMatchObject({ id: 'named', name: 'Named Ltd.' });
  for (const caller of [staff.viewer, { token: await atlas.key(['organization:read'], 'named') }])
    for (const id of ['named', 'current']) {
      const read = await callAs(atlas, caller, 'GET', `/v1/organizations/${id}`);
      expect({ status: read.status, body: await read.json() }).toEqual({ status: 200, body: organization });
    }
  expect((await auditOf(atlas, 'named', 'organization')).at(-1)).toMatchObject({
    before: { name: 'named' },
    after: { name: 'Named Ltd.' },
  });
});

test.each(['', ' ', 'a\nb', 'a\u2028b', 'a\u202eb', 'x'.repeat(201)])(
  'an organization is not named %j, which mails contain',
  async (name) => {
    const { owner } = await createStaff(atlas, `named ${encodeURIComponent(name).slice(0, 20)}`);
    await expectProblem(atlas, await create(owner, name), 400, 'invalid_request', ['/name']);
    const renamed = await callAs(atlas, owner, 'PATCH', '/v1/organizations/current', { name });
    await expectProblem(atlas, renamed, 400, 'invalid_request', ['/name']);
  },
);

test('the organizations of a user are listed while theirs is suspended, or after they left it, and a key lists none', async () => {
  const { owner, viewer } = await createStaff(atlas, 'paused');
  await addMember(atlas, viewer.id, 'another', 'viewer');
  await atlas.sql`UPDATE organizations SET suspended_at = now() WHERE id = 'paused'`;
  const suspended = await list(viewer);
  expect(suspended.map(({ id, suspendedAt }) => [id, suspendedAt !== null])).toEqual([
    ['another', false],
    ['paused', true],
  ]);
  await expectProblem(
    atlas,
    await callAs(atlas, viewer, 'GET', '/v1/organizations/paused'),
    403,
    'organization_suspended',
  );
  expect((await callAs(atlas, viewer, 'DELETE', '/v1/users/me/organizations/paused')).status).toBe(204);
  expect((await list(viewer)).map(({ id }) => id)).toEqual(['another']);
  expect(await list(owner)).toHaveLength(1);
  const key = { token: await atlas.key(ALL_SCOPES, 'paused-not') };
  for (const [method, path] of [
    ['GET', '/v1/organizations'],
    ['POST', '/v1/organizations'],
    ['DELETE', '/v1/users/me/organizations/paused'],
  ] as const)
    await expectProblem(atlas, await callAs(atlas, key, method, path), 403, 'forbidden');
});

test('everybody leaves an organization, but only one that they are in', async () => {
  const staff = await createStaff(atlas, 'left');
  for (const role of ['viewer', 'member', 'admin'] as const) {
    const leave = () => callAs(atlas, staff[role], 'DELETE', '/v1/users/me/organizations/left');
    expect((await leave()).status).toBe(204);
    await expectProblem(atlas, await leave(), 404, 'organization_not_found');
    const accounts = () => callAs(atlas, staff[role], 'GET', '/v1/accounts');
    await until(async () => (await accounts()).status === 403, { deadlineMs: 5000 });
  }
  expect(await rolesIn(atlas, 'left')).toEqual({ [staff.owner.id]: 'owner' });
});

test('nobody waits for changes of an organization that they are not in, or holds them up', async () => {
  await createStaff(atlas, 'busy');
  const stranger = await createUser(atlas);
  await atlas.deps.database.transaction(async (tx) => {
    await createStandingRepository().lock(tx, 'busy');
    const response = await callAs(atlas, stranger, 'DELETE', '/v1/users/me/organizations/busy');
    await expectProblem(atlas, response, 404, 'organization_not_found');
  });
});
