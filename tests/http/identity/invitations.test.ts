import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { InvitationResource } from '../../../src/features/identity/invitations/service.ts';
import { ROLES } from '../../../src/features/identity/roles.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { invitationSteps, newAddress } from '../../support/invitation-steps.ts';
import { auditOf, callAs, createStaff, rolesIn } from '../../support/member-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { addMember, createSession, createUser, mailsTo, tokenFor } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const DAY_MS = 86_400_000;
const { invite, accept, withdraw, invited, openInvitations } = invitationSteps(() => atlas);

test('an invited person accepts with the token of the mail, once, and has the role at once', async () => {
  const { admin } = await createStaff(atlas, 'welcoming');
  const guest = await createUser(atlas, { email: 'Guest@EXAMPLE.com'.toLowerCase() });
  const invitation = await invited(admin, 'Guest@Example.COM', 'member');
  expect(invitation).toMatchObject({ email: guest.email, role: 'member', invitedBy: admin.id });
  expect(Math.abs(Date.parse(invitation.expiresAt) - Date.now() - 7 * DAY_MS)).toBeLessThan(60_000);
  expect(await openInvitations(admin)).toEqual([invitation]);

  const [mail] = await mailsTo(atlas, guest.email);
  expect(mail!.text).toContain(admin.email);
  expect(mail!.text).toContain('"welcoming"');
  const token = await tokenFor(atlas, guest.email);
  const accepted = await accept(guest, token);
  expect(accepted.status).toBe(201);
  expect(await accepted.json()).toEqual({ organization: 'welcoming', role: 'member' });
  expect((await rolesIn(atlas, 'welcoming'))[guest.id]).toBe('member');
  expect(await openInvitations(admin)).toEqual([]);
  await expectProblem(atlas, await accept(guest, token), 422, 'invitation_invalid');
});

test('no response, no log and no audit entry contains the token, and the database only its hash', async () => {
  const { owner } = await createStaff(atlas, 'discreet');
  const email = newAddress();
  const response = await invite(owner, email);
  const token = await tokenFor(atlas, email);
  expect(token).toMatch(/^atlas_once_[\w-]{43}$/);
  expect(await response.text()).not.toContain(token);
  expect(atlas.logs.join('')).not.toContain(token);
  const rows = await atlas.sql`SELECT to_jsonb(i)::text AS text FROM invitations i WHERE email = ${email}
    UNION ALL SELECT to_jsonb(a)::text FROM audit_entries a WHERE organization = 'discreet'`;
  expect(rows.length).toBeGreaterThan(1);
  for (const { text } of rows) expect(text).not.toContain(token);
});

test('only the person with the confirmed address of the invitation accepts it', async () => {
  const { owner } = await createStaff(atlas, 'addressed');
  const [email, thief] = [newAddress(), await createUser(atlas)];
  await invited(owner, email, 'admin');
  const token = await tokenFor(atlas, email);
  const used = await expectProblem(atlas, await accept(thief, token), 422, 'invitation_invalid');
  const unknown = await expectProblem(
    atlas,
    await accept(thief, `atlas_once_${'x'.repeat(43)}`),
    422,
    'invitation_invalid',
  );
  expect({ ...used, requestId: '' }).toEqual({ ...unknown, requestId: '' });
  const guest = await createUser(atlas, { email });
  await atlas.sql`UPDATE users SET confirmed_at = NULL WHERE id = ${guest.id}`;
  expect((await accept(guest, token)).status).toBe(401);
  await expectProblem(atlas, await accept({ token: await atlas.key(ALL_SCOPES) }, token), 403, 'forbidden');
  expect(Object.keys(await rolesIn(atlas, 'addressed'))).toHaveLength(4);
  const again = await createUser(atlas, { email: newAddress() });
  await atlas.sql`UPDATE users SET email = ${`was-${email}`} WHERE id = ${guest.id}`;
  await atlas.sql`UPDATE users SET email = ${email} WHERE id = ${again.id}`;
  expect((await accept(again, token)).status).toBe(201);
});

test('accepted ten times at once, it makes one member, and only one of them is accepted', async () => {
  const { owner } = await createStaff(atlas, 'eager');
  const guest = await createUser(atlas);
  await invited(owner, guest.email);
  const token = await tokenFor(atlas, guest.email);
  const responses = await Promise.all(Array.from({ length: 10 }, () => accept(guest, token)));
  const statuses = responses.map(({ status }) => status).sort();
  expect(statuses).toEqual([201, ...Array.from({ length: 9 }, () => 422)]);
  expect(await auditOf(atlas, 'eager', 'membership')).toHaveLength(1);
  const retried = await createUser(atlas);
  await invited(owner, retried.email);
  const key = { 'Idempotency-Key': 'accept-once' };
  const retriedToken = await tokenFor(atlas, retried.email);
  const first = await accept(retried, retriedToken, key);
  const second = await accept(retried, retriedToken, key);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  expect(await second.json()).toEqual(await first.json());
});

test('an invitation that expired or was withdrawn or replaced is not accepted, and is not listed', async () => {
  const { owner } = await createStaff(atlas, 'ended');
  const guest = await createUser(atlas);
  const { id } = await invited(owner, guest.email);
  const first = await tokenFor(atlas, guest.email);
  const replaced = await invited(owner, guest.email, 'member');
  expect(replaced.id).not.toBe(id);
  await expectProblem(atlas, await accept(guest, first), 422, 'invitation_invalid');
  await expectProblem(atlas, await withdraw(owner, id), 404, 'invitation_not_found');
  expect(await openInvitations(owner)).toEqual([replaced]);
  const second = await tokenFor(atlas, guest.email);
  expect((await withdraw(owner, replaced.id)).status).toBe(204);
  await expectProblem(atlas, await accept(guest, second), 422, 'invitation_invalid');
  await expectProblem(atlas, await withdraw(owner, replaced.id), 404, 'invitation_not_found');

  const { id: expired } = await invited(owner, guest.email);
  const third = await tokenFor(atlas, guest.email);
  await atlas.sql`UPDATE invitations SET expires_at = now() WHERE id = ${expired}`;
  await expectProblem(atlas, await accept(guest, third), 422, 'invitation_invalid');
  await expectProblem(atlas, await withdraw(owner, expired), 404, 'invitation_not_found');
  expect(await openInvitations(owner)).toEqual([]);
  const job = atlas.jobs.find(({ name }) => name === 'delete expired invitations')!;
  await job.run();
  expect(await atlas.sql`SELECT FROM invitations WHERE organization = 'ended'`).toHaveLength(0);
  expect(await rolesIn(atlas, 'ended')).not.toHaveProperty(guest.id);
  expect((await auditOf(atlas, 'ended', 'invitation')).map(({ action }) => action)).toEqual([
    'invitation.created',
    'invitation.withdrawn',
    'invitation.created',
    'invitation.withdrawn',
    'invitation.created',
  ]);
});

test('nobody invites to a role that may do more than their own, or touches such an invitation', async () => {
  const staff = await createStaff(atlas, 'ranked');
  const toOwner = await invited(staff.owner, newAddress(), 'owner');
  for (const caller of ROLES)
    for (const role of ROLES) {
      const response = await invite(staff[caller], newAddress(), role);
      if (ROLES.indexOf(caller) < 2) await expectProblem(atlas, response, 403, 'forbidden');
      else if (ROLES.indexOf(role) > ROLES.indexOf(caller))
        await expectProblem(atlas, response, 403, 'role_exceeded');
      else expect(response.status).toBe(201);
    }
  await expectProblem(atlas, await invite(staff.admin, toOwner.email), 403, 'role_exceeded');
  await expectProblem(atlas, await withdraw(staff.admin, toOwner.id), 403, 'role_exceeded');
  await expectProblem(atlas, await withdraw(staff.viewer, toOwner.id), 403, 'forbidden');
  expect(await openInvitations(staff.viewer)).toContainEqual(toOwner);
});

test('inviting shows nothing about whether an address has an account, nor whether others wrote to it', async () => {
  const { owner } = await createStaff(atlas, 'curious');
  const user = await createUser(atlas);
  const flooded = await createUser(atlas);
  for (let i = 0; i < 10; i++)
    await atlas.sql`INSERT INTO mails (id, organization, recipient, state, content, ended_at, expires_at)
      VALUES (${Bun.randomUUIDv7()}, '', ${flooded.email}, 'sent', NULL, now(), now())`;
  const shapes = [];
  for (const email of [user.email, flooded.email, newAddress()]) {
    const response = await invite(owner, email);
    const body = (await response.json()) as InvitationResource;
    shapes.push({ status: response.status, members: Object.keys(body), role: body.role });
  }
  expect(shapes[1]).toEqual(shapes[0]!);
  expect(shapes[2]).toEqual(shapes[0]!);
  expect(shapes[0]!.status).toBe(201);
  const open = await openInvitations(owner);
  expect(new Set(open.map((invitation) => Object.keys(invitation).join())).size).toBe(1);
  // One person gets ten mails an hour at most, from all organizations together.
  expect(await mailsTo(atlas, user.email)).toHaveLength(1);
  expect(await atlas.sql`SELECT FROM mails WHERE recipient = ${flooded.email}`).toHaveLength(10);
});

test('a member is not invited again', async () => {
  const { owner, viewer } = await createStaff(atlas, 'joined');
  const before = (await mailsTo(atlas, viewer.email)).length;
  await expectProblem(atlas, await invite(owner, viewer.email.toUpperCase(), 'owner'), 409, 'already_member');
  expect(await mailsTo(atlas, viewer.email)).toHaveLength(before);
});

test('who became a member meanwhile keeps their role when they accept', async () => {
  const { owner } = await createStaff(atlas, 'meanwhile');
  const guest = await createUser(atlas);
  await invited(owner, guest.email, 'viewer');
  await addMember(atlas, guest.id, 'meanwhile', 'admin');
  const response = await accept(guest, await tokenFor(atlas, guest.email));
  expect(await response.json()).toEqual({ organization: 'meanwhile', role: 'admin' });
  expect((await rolesIn(atlas, 'meanwhile'))[guest.id]).toBe('admin');
});

test('a retry with the same Idempotency-Key invites once, and sends one mail', async () => {
  const { owner } = await createStaff(atlas, 'retrying');
  const [email, key] = [newAddress(), { 'Idempotency-Key': 'invite-once' }];
  const first = await invite(owner, email, 'viewer', key);
  const second = await invite(owner, email, 'viewer', key);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  expect(await second.json()).toEqual(await first.json());
  expect(await mailsTo(atlas, email)).toHaveLength(1);
  await expectProblem(atlas, await invite(owner, email, 'member', key), 422, 'idempotency_key_reused');
});

test.each(['none', 'a@b@c', 'a b@example.com', 'a..b@example.com', 'Ada <ada@example.com>', 'ada@127.0.0.1'])(
  'no mail is sent to %p',
  async (email) => {
    const { owner } = await createStaff(atlas, `strict ${email}`);
    await expectProblem(atlas, await invite(owner, email), 400, 'invalid_request', ['/email']);
  },
);

test.each(['viewer', 'member'] as const)(
  'open invitations of somebody who may no longer invite end, whatever the role they are for: %s',
  async (role) => {
    const organization = `no longer ${role}`;
    const { owner, admin } = await createStaff(atlas, organization);
    await invited(admin, newAddress(), 'viewer');
    await invited(owner, newAddress(), 'viewer');
    const path = `/v1/organizations/current/members/${admin.id}`;
    expect((await callAs(atlas, owner, 'PATCH', path, { role })).status).toBe(200);
    expect((await openInvitations(owner)).map(({ invitedBy }) => invitedBy)).toEqual([owner.id]);
  },
);

test('open invitations of a user who is locked out end in all of their organizations, and are audited', async () => {
  const { owner, admin } = await createStaff(atlas, 'locks');
  const other = await createUser(atlas, { organization: 'locks too' });
  await addMember(atlas, admin.id, 'locks too', 'admin');
  const second = { ...admin, ...(await createSession(atlas, admin.id, 'locks too')) };
  await invited(admin, newAddress(), 'viewer');
  await invited(second, newAddress(), 'member');
  await invited(owner, newAddress(), 'viewer');
  const lock = (method: string) => atlas.call(method, `/v1/operator/users/${admin.id}/lock`);
  expect((await lock('PUT')).status).toBe(200);
  expect((await openInvitations(owner)).map(({ invitedBy }) => invitedBy)).toEqual([owner.id]);
  expect(await openInvitations(other)).toEqual([]);
  const withdrawn = (await auditOf(atlas, 'locks', 'invitation')).filter(
    ({ action }) => action === 'invitation.withdrawn',
  );
  expect(withdrawn).toHaveLength(1);
  await invited(owner, newAddress(), 'viewer');
  expect((await lock('DELETE')).status).toBe(200);
  expect(await openInvitations(owner)).toHaveLength(2);
});

test.each(['a request', 'a command'])('open invitations of a key end when %s revokes it', async (way) => {
  const organization = `revoked by ${way}`;
  const { owner } = await createStaff(atlas, organization);
  const key = { token: await atlas.key(ALL_SCOPES, organization) };
  const id = key.token.split('_')[2]!;
  const email = newAddress();
  await invited(key, email, 'viewer');
  await invited(owner, newAddress(), 'viewer');
  const token = await tokenFor(atlas, email);
  if (way === 'a command') expect(await atlas.features.identity.keys.revoke(id)).toBe(true);
  else expect((await callAs(atlas, owner, 'POST', `/v1/api-keys/${id}/revoke`)).status).toBe(200);
  expect((await openInvitations(owner)).map(({ invitedBy }) => invitedBy)).toEqual([owner.id]);
  await expectProblem(
    atlas,
    await accept(await createUser(atlas, { email }), token),
    422,
    'invitation_invalid',
  );
});

test('open invitations that somebody sent end with the role that allowed them', async () => {
  const { owner, admin } = await createStaff(atlas, 'successive');
  const second = await createUser(atlas, { organization: 'successive', role: 'owner' });
  const [toOwner, toAdmin] = [newAddress(), newAddress()];
  await invited(second, toOwner, 'owner');
  await invited(second, toAdmin, 'admin');
  await invited(admin, newAddress(), 'viewer');
  const emails = async () => (await openInvitations(owner)).map(({ email }) => email);
  const members = '/v1/organizations/current/members';
  await callAs(atlas, owner, 'PATCH', `${members}/${second.id}`, { role: 'admin' });
  expect(await emails()).not.toContain(toOwner);
  expect(await emails()).toContain(toAdmin);
  await callAs(atlas, owner, 'DELETE', `${members}/${second.id}`);
  expect(await emails()).toHaveLength(1);
  await callAs(atlas, admin, 'DELETE', '/v1/users/me/organizations/successive');
  expect(await emails()).toHaveLength(0);
});

test('an invitation does not outlive the key that sent it', async () => {
  const organization = 'expiring';
  await createStaff(atlas, organization);
  const expiresAt = new Date(Date.now() + DAY_MS);
  const { token } = await atlas.keys.create({
    owner: organization,
    kind: 'live',
    name: 'short-lived',
    scopes: ALL_SCOPES,
    expiresAt,
  });
  const invitation = await invited({ token }, newAddress());
  expect(invitation.expiresAt).toBe(expiresAt.toISOString());
});
