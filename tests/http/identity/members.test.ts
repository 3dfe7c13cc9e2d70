import { afterAll, beforeAll, expect, test } from 'bun:test';
import { ROLES, type Role } from '../../../src/features/identity/roles.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { isolate } from '../../support/key-steps.ts';
import { auditOf, callAs, createStaff, type MemberResource, rolesIn } from '../../support/member-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { addMember, createUser } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const NOBODY = '0198c0de-0000-7000-8000-000000000001';
const pathOf = (organization: string, userId = '') =>
  `/v1/organizations/${organization}/members${userId && `/${userId}`}`;
const patch = (caller: { token: string }, organization: string, userId: string, role: Role) =>
  callAs(atlas, caller, 'PATCH', pathOf(organization, userId), { role });
const remove = (caller: { token: string }, organization: string, userId: string) =>
  callAs(atlas, caller, 'DELETE', pathOf(organization, userId));

test('everybody who belongs to an organization sees its members, page by page, in the order in which they joined', async () => {
  const staff = await createStaff(atlas, 'listed');
  const found: MemberResource[] = [];
  let path: string | null = `${pathOf('listed')}?limit=1`;
  while (path !== null) {
    const response = await callAs(atlas, staff.viewer, 'GET', path);
    expect(response.status).toBe(200);
    const page = (await response.json()) as { members: MemberResource[]; nextCursor: string | null };
    expect(page.members).toHaveLength(1);
    found.push(...page.members);
    path = page.nextCursor === null ? null : `${pathOf('current')}?limit=1&cursor=${page.nextCursor}`;
  }
  const expected = ROLES.toReversed().map((role) => ({
    userId: staff[role].id,
    email: staff[role].email,
    name: '',
    role,
    joinedAt: expect.stringMatching(/^20.*Z$/) as string,
  }));
  expect(found).toEqual(expected);
  const key = { token: await atlas.key(['members:read'], 'listed') };
  expect((await callAs(atlas, key, 'GET', pathOf('listed'))).status).toBe(200);
});

test('nobody gives or takes a role that may do more than their own', async () => {
  const rank = (role: Role) => ROLES.indexOf(role);
  for (const caller of ROLES)
    for (const from of ROLES)
      for (const to of ROLES) {
        const organization = `pair-${caller}-${from}-${to}`;
        const [{ id: target }, actor] = [
          await createUser(atlas, { organization, role: from }),
          await createUser(atlas, { organization, role: caller }),
        ];
        await createUser(atlas, { organization, role: 'owner' });
        const response = await patch(actor, organization, target, to);
        if (rank(caller) < rank('admin')) await expectProblem(atlas, response, 403, 'forbidden');
        else if (Math.max(rank(from), rank(to)) > rank(caller))
          await expectProblem(atlas, response, 403, 'role_exceeded');
        else expect({ organization, status: response.status }).toEqual({ organization, status: 200 });
        const isChanged = response.status === 200;
        const roles = await rolesIn(atlas, organization);
        expect({ organization, role: roles[target] }).toEqual({ organization, role: isChanged ? to : from });

        const removed = await remove(actor, organization, target);
        const may = rank(caller) >= rank('admin') && rank(roles[target]!) <= rank(caller);
        expect({ organization, status: removed.status }).toEqual({ organization, status: may ? 204 : 403 });
        expect(Object.keys(await rolesIn(atlas, organization))).toHaveLength(may ? 2 : 3);
      }
});

test('a key changes members up to the scopes that it has', async () => {
  const { viewer, admin } = await createStaff(atlas, 'keyed');
  const narrow = { token: await atlas.key(['members:write', 'members:read'], 'keyed') };
  await expectProblem(atlas, await patch(narrow, 'keyed', viewer.id, 'viewer'), 403, 'role_exceeded');
  const wide = { token: await atlas.key(ALL_SCOPES, 'keyed') };
  expect((await patch(wide, 'keyed', viewer.id, 'owner')).status).toBe(200);
  const noOwner = ALL_SCOPES.filter((scope) => scope !== 'organization:write');
  const asAdmin = { token: await atlas.key(noOwner, 'keyed') };
  await expectProblem(atlas, await remove(asAdmin, 'keyed', viewer.id), 403, 'role_exceeded');
  expect((await remove(asAdmin, 'keyed', admin.id)).status).toBe(204);
});

test('test keys reach no people', async () => {
  await isolate(atlas);
  const { admin } = await createStaff(atlas, 'testing');
  const { token } = await atlas.keys.create({
    owner: 'testing',
    kind: 'test',
    name: 'test',
    scopes: ALL_SCOPES,
    expiresAt: null,
  });
  await expectProblem(
    atlas,
    await patch({ token }, 'testing', admin.id, 'viewer'),
    404,
    'organization_not_found',
  );
  await expectProblem(
    atlas,
    await callAs(atlas, { token }, 'GET', pathOf('testing')),
    404,
    'organization_not_found',
  );
  expect((await rolesIn(atlas, 'testing'))[admin.id]).toBe('admin');
});

test('the only owner can neither leave nor be removed nor get another role', async () => {
  const { owner, admin } = await createStaff(atlas, 'lone');
  const key = { token: await atlas.key(ALL_SCOPES, 'lone') };
  for (const response of [
    await patch(owner, 'lone', owner.id, 'admin'),
    await remove(owner, 'lone', owner.id),
    await patch(key, 'lone', owner.id, 'viewer'),
    await remove(key, 'lone', owner.id),
    await callAs(atlas, owner, 'DELETE', '/v1/users/me/organizations/lone'),
  ])
    await expectProblem(atlas, response, 409, 'last_owner');
  expect((await rolesIn(atlas, 'lone'))[owner.id]).toBe('owner');
  // With another owner, each of them can.
  expect((await patch(owner, 'lone', admin.id, 'owner')).status).toBe(200);
  expect((await callAs(atlas, owner, 'DELETE', '/v1/users/me/organizations/lone')).status).toBe(204);
  expect(Object.keys(await rolesIn(atlas, 'lone'))).not.toContain(owner.id);
});

test('when all owners leave, remove, or demote each other at once, one is left', async () => {
  for (let round = 0; round < 5; round++) {
    const organization = `exodus-${round}`;
    const owners = await Promise.all(
      Array.from({ length: 6 }, () => createUser(atlas, { organization, role: 'owner' })),
    );
    const responses = await Promise.all(
      owners.flatMap((owner, i) => [
        callAs(atlas, owner, 'DELETE', `/v1/users/me/organizations/${organization}`),
        patch(owner, organization, owners[(i + 1) % owners.length]!.id, 'viewer'),
        remove(owner, organization, owners[(i + 2) % owners.length]!.id),
      ]),
    );
    expect(responses.filter(({ status }) => status >= 500)).toEqual([]);
    const left = Object.values(await rolesIn(atlas, organization)).filter((role) => role === 'owner');
    expect(left).toHaveLength(1);
  }
});

test('who was demoted or removed gives nobody a role, themselves included, while their session is still cached', async () => {
  const { owner, admin, member } = await createStaff(atlas, 'cached');
  const second = await createUser(atlas, { organization: 'cached', role: 'admin' });
  for (const user of [admin, second])
    expect((await callAs(atlas, user, 'GET', pathOf('cached'))).status).toBe(200);
  expect((await patch(owner, 'cached', admin.id, 'viewer')).status).toBe(200);
  expect((await remove(owner, 'cached', second.id)).status).toBe(204);
  for (const user of [admin, second]) {
    await expectProblem(atlas, await patch(user, 'cached', user.id, 'admin'), 403, 'forbidden');
    await expectProblem(atlas, await patch(user, 'cached', member.id, 'admin'), 403, 'forbidden');
    await expectProblem(atlas, await remove(user, 'cached', member.id), 403, 'forbidden');
    const invite = { email: 'friend@example.com', role: 'viewer' };
    const path = '/v1/organizations/cached/invitations';
    await expectProblem(atlas, await callAs(atlas, user, 'POST', path, invite), 403, 'forbidden');
    const key = { name: 'stays', scopes: ['ping:read'] };
    await expectProblem(atlas, await callAs(atlas, user, 'POST', '/v1/api-keys', key), 403, 'forbidden');
  }
  expect(await rolesIn(atlas, 'cached')).toEqual({
    [owner.id]: 'owner',
    [admin.id]: 'viewer',
    [member.id]: 'member',
    [(await memberOf('cached', 'viewer'))!]: 'viewer',
  });
  expect(await atlas.sql`SELECT FROM api_keys WHERE owner = 'cached'`).toHaveLength(0);
});

const memberOf = async (organization: string, role: Role) =>
  (
    await atlas.sql<{ userId: string }[]>`
      SELECT user_id FROM memberships WHERE organization = ${organization} AND role = ${role}
      ORDER BY created_at DESC LIMIT 1`
  )[0]?.userId;

test('a key that was revoked creates no key and changes no member while it is still cached', async () => {
  const { member } = await createStaff(atlas, 'leaked');
  const token = await atlas.key(ALL_SCOPES, 'leaked');
  const id = token.split('_')[2]!;
  expect((await callAs(atlas, { token }, 'GET', pathOf('leaked'))).status).toBe(200);
  expect((await callAs(atlas, { token }, 'POST', `/v1/api-keys/${id}/revoke`)).status).toBe(200);
  const key = { name: 'stays', scopes: ['ping:read'] };
  for (const response of [
    await callAs(atlas, { token }, 'POST', '/v1/api-keys', key),
    await patch({ token }, 'leaked', member.id, 'owner'),
    await callAs(atlas, { token }, 'POST', '/v1/organizations/leaked/invitations', {
      email: 'thief@example.com',
      role: 'owner',
    }),
  ])
    await expectProblem(atlas, response, 401, 'unauthenticated');
  expect((await rolesIn(atlas, 'leaked'))[member.id]).toBe('member');
});

test('another role, and a removal, hold within 5 s', async () => {
  const { owner, admin, member } = await createStaff(atlas, 'prompt');
  const keys = () => callAs(atlas, admin, 'GET', '/v1/api-keys').then(({ status }) => status);
  const accounts = () => callAs(atlas, member, 'GET', '/v1/accounts').then(({ status }) => status);
  expect([await keys(), await accounts()]).toEqual([200, 200]);
  await patch(owner, 'prompt', admin.id, 'member');
  await remove(owner, 'prompt', member.id);
  await until(async () => (await keys()) === 403 && (await accounts()) === 403, { deadlineMs: 5000 });
  await patch(owner, 'prompt', admin.id, 'owner');
  await until(async () => (await keys()) === 200, { deadlineMs: 5000 });
});

test('every change of a member is audited with before and after, and what changes nothing is not', async () => {
  const { owner, admin, viewer } = await createStaff(atlas, 'audited');
  await patch(owner, 'audited', viewer.id, 'member');
  await patch(owner, 'audited', viewer.id, 'member');
  await patch(admin, 'audited', owner.id, 'viewer');
  await remove(admin, 'audited', viewer.id);
  expect(await auditOf(atlas, 'audited', 'membership')).toEqual([
    {
      action: 'membership.changed',
      targetId: viewer.id,
      before: { role: 'viewer' },
      after: { role: 'member' },
    },
    { action: 'membership.removed', targetId: viewer.id, before: { role: 'member' }, after: null },
  ]);
  const [entry] = await atlas.sql`
    SELECT actor FROM audit_entries WHERE action = 'membership.changed' AND organization = 'audited'`;
  expect(entry!.actor).toMatchObject({ kind: 'session', id: owner.sessionId, userId: owner.id });
});

test('other organizations, and users who are no members, are as if they did not exist', async () => {
  const { owner } = await createStaff(atlas, 'mine');
  const theirs = await createStaff(atlas, 'theirs');
  const key = { token: await atlas.key(ALL_SCOPES, 'mine') };
  const outsider = await createUser(atlas, { organization: 'theirs', role: 'owner' });
  await addMember(atlas, owner.id, 'theirs', 'owner');
  for (const caller of [owner, key]) {
    const responses = async (organization: string, userId: string) =>
      Promise.all(
        (
          [
            ['GET', pathOf(organization)],
            ['PATCH', pathOf(organization, userId), { role: 'owner' }],
            ['DELETE', pathOf(organization, userId)],
            ['GET', `/v1/organizations/${organization}`],
            ['PATCH', `/v1/organizations/${organization}`, { name: 'x' }],
            ['GET', `/v1/organizations/${organization}/invitations`],
            [
              'POST',
              `/v1/organizations/${organization}/invitations`,
              { email: 'a@example.com', role: 'viewer' },
            ],
            ['DELETE', `/v1/organizations/${organization}/invitations/${NOBODY}`],
          ] as const
        ).map(async ([method, path, json]) => {
          const problem = await expectProblem(
            atlas,
            await callAs(atlas, caller, method, path, json),
            404,
            'organization_not_found',
          );
          return { ...problem, requestId: '', detail: problem.detail.replace(organization, 'ID') };
        }),
      );
    expect(await responses('theirs', theirs.viewer.id)).toEqual(await responses('nothing', NOBODY));
    for (const userId of [outsider.id, NOBODY]) {
      await expectProblem(atlas, await patch(caller, 'mine', userId, 'viewer'), 404, 'member_not_found');
      await expectProblem(atlas, await remove(caller, 'mine', userId), 404, 'member_not_found');
    }
  }
  expect((await rolesIn(atlas, 'theirs'))[theirs.viewer.id]).toBe('viewer');
});
