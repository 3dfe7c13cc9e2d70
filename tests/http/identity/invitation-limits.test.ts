import { afterAll, beforeAll, expect, test } from 'bun:test';
import { invitationSteps, newAddress } from '../../support/invitation-steps.ts';
import { createStaff } from '../../support/member-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createUser, tokenFor } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const { invite, accept, withdraw, invited, openInvitations } = invitationSteps(() => atlas);

test('an organization has 100 open invitations at most, however many are created at once', async () => {
  const { owner } = await createStaff(atlas, 'crowded');
  await atlas.sql`INSERT INTO invitations (id, organization, email, role, secret_hash, invited_by, expires_at)
    SELECT gen_random_uuid(), 'crowded', 'open' || n || '@example.com', 'viewer', sha256(('crowded' || n)::bytea),
           'x', now() + interval '1 day' FROM generate_series(1, 97) n`;
  const responses = await Promise.all(Array.from({ length: 8 }, () => invite(owner, newAddress())));
  expect(responses.filter(({ status }) => status === 201)).toHaveLength(3);
  const refused = responses.find(({ status }) => status !== 201)!;
  await expectProblem(atlas, refused, 422, 'too_many_invitations');
  // One that is replaced is not another one.
  expect((await invite(owner, 'open1@example.com')).status).toBe(201);
  await atlas.sql`UPDATE invitations SET expires_at = now() WHERE email = 'open2@example.com'`;
  expect((await invite(owner, newAddress())).status).toBe(201);
});

test('an organization sends 50 invitations an hour at most, even if it withdraws them', async () => {
  const { owner } = await createStaff(atlas, 'insistent');
  const email = newAddress();
  await atlas.sql`INSERT INTO audit_entries (organization, actor, action, target_type, target_id)
    SELECT 'insistent', '{}', 'invitation.created', 'invitation', n::text FROM generate_series(1, 49) n`;
  const { id } = await invited(owner, email);
  await withdraw(owner, id);
  const refused = await invite(owner, email);
  const seconds = Number(refused.headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(3500);
  expect(seconds).toBeLessThanOrEqual(3600);
  await expectProblem(atlas, refused, 429, 'too_many_mails');
  expect(await openInvitations(owner)).toEqual([]);
});

test('an organization has 1,000 members at most, and the invitation stays open', async () => {
  const { owner } = await createStaff(atlas, 'full');
  await atlas.sql`WITH created AS (
      INSERT INTO users (id, email, confirmed_at)
      SELECT gen_random_uuid(), 'full' || n || '@example.com', now() FROM generate_series(1, 994) n RETURNING id)
    INSERT INTO memberships (organization, user_id, role) SELECT 'full', id, 'viewer' FROM created`;
  const guests = await Promise.all(Array.from({ length: 4 }, () => createUser(atlas)));
  const tokens: string[] = [];
  for (const { email } of guests) {
    await invited(owner, email);
    tokens.push(await tokenFor(atlas, email));
  }
  const responses = await Promise.all(guests.map((guest, i) => accept(guest, tokens[i]!)));
  expect(responses.map(({ status }) => status).sort()).toEqual([201, 201, 422, 422]);
  const late = responses.findIndex(({ status }) => status === 422);
  await expectProblem(atlas, responses[late]!, 422, 'too_many_members');
  await atlas.sql`DELETE FROM memberships WHERE organization = 'full' AND role = 'admin'`;
  expect((await accept(guests[late]!, tokens[late]!)).status).toBe(201);
});

test('a user is in 100 organizations at most', async () => {
  const { owner } = await createStaff(atlas, 'hundredth');
  const guest = await createUser(atlas);
  await atlas.sql`INSERT INTO memberships (organization, user_id, role)
    SELECT 'of-guest-' || n, ${guest.id}, 'viewer' FROM generate_series(1, 100) n`;
  await invited(owner, guest.email);
  const token = await tokenFor(atlas, guest.email);
  await expectProblem(atlas, await accept(guest, token), 422, 'too_many_organizations');
});
