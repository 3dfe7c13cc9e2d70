import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Queryable } from '../../../src/adapters/postgres/query.ts';
import { commandActor } from '../../../src/features/actor.ts';
import { createStandingRepository } from '../../../src/features/identity/standing/repository.ts';
import { availableEngines } from '../../support/database.ts';
import { invitationSteps, newAddress } from '../../support/invitation-steps.ts';
import { callAs, createStaff, rolesIn } from '../../support/member-steps.ts';
import { Browser, startProvider, type TestProvider } from '../../support/openid-provider.ts';
import { createAccount, ORIGIN, signInThrough } from '../../support/provider-steps.ts';
import { lockWaiters } from '../../support/table-lock.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { addMember, createUser, PASSWORD, tokenFor, visit } from '../../support/user-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

describe.each(availableEngines())('people on the %s PostgreSQL', (engine) => {
  let provider: TestProvider;
  let atlas: TestApp;
  beforeAll(async () => {
    provider = await startProvider(ORIGIN);
    atlas = await startTestApp({ ...provider.settings, DATABASE_POOL_SIZE: '10' }, engine);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await atlas?.close();
    await provider?.stop();
  });
  const { invited } = invitationSteps(() => atlas);

  /** Holds the lock of an organization until the returned function is called, which lets the change commit. */
  async function hold(organization: string, change: (tx: Queryable) => Promise<unknown> = async () => {}) {
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const done = atlas.deps.database.transaction(async (tx) => {
      await createStandingRepository().lock(tx, organization);
      await change(tx);
      begun.resolve();
      await gate.promise;
    });
    await Promise.race([begun.promise, done]);
    return async () => {
      gate.resolve();
      await done;
    };
  }
  const waiting = (count: number) => until(async () => (await lockWaiters(atlas.sql)) === count);

  /** Begins each of these when the one before waits for the organization, and then lets all of them go on. */
  async function queued<T>(organization: string, works: readonly (() => Promise<T>)[]): Promise<T[]> {
    const release = await hold(organization);
    const running: Promise<T>[] = [];
    for (const work of works) {
      running.push(work());
      await waiting(running.length);
    }
    await release();
    return Promise.all(running);
  }

  const provision = (email: string, organization: string) =>
    atlas.features.identity.provision(
      { email, name: '', organization, role: 'viewer', password: PASSWORD },
      commandActor(),
    );

  test('a sign-up with an invitation while a command creates the same user waits for it', async () => {
    const { owner } = await createStaff(atlas, 'hiring');
    const email = newAddress();
    await invited(owner, email, 'member');
    const json = { email, password: PASSWORD, invitation: await tokenFor(atlas, email) };
    const [, response] = await queued<unknown>('hiring', [
      () => provision(email, 'hiring'),
      () => visit(atlas, 'POST', '/v1/users', { json }),
    ]);
    expect((response as Response).status).toBe(202);
    const [user] = await atlas.sql<[{ id: string }]>`SELECT id FROM users WHERE email = ${email}`;
    // The role of the command, which came first.
    expect((await rolesIn(atlas, 'hiring'))[user.id]).toBe('viewer');
  });

  test('a sign-up through the provider while a command creates the same user waits for it', async () => {
    const { owner } = await createStaff(atlas, 'recruiting');
    const { subject, email } = createAccount(provider);
    await invited(owner, email, 'member');
    const invitation = await tokenFor(atlas, email);
    const [, page] = await queued<unknown>('recruiting', [
      () => provision(email, 'recruiting'),
      () => signInThrough(atlas, new Browser(), subject, `?invitation=${invitation}`),
    ]);
    // The user exists by then, with a password that has to be proven.
    expect((page as Response).status).toBeLessThan(500);
    expect(await atlas.sql`SELECT FROM users WHERE email = ${email}`).toHaveLength(1);
  });

  test('who becomes the only owner while they delete their user is not deleted', async () => {
    const leaver = await createUser(atlas, { organization: 'gate', role: 'viewer' });
    const { owner } = await createStaff(atlas, 'handover');
    const open = await hold('gate');
    const deletion = callAs(atlas, leaver, 'DELETE', '/v1/users/me');
    await waiting(1);
    await addMember(atlas, leaver.id, 'handover', 'admin');
    const commit = await hold('handover', (tx) =>
      tx.query(
        (sql) => sql`
          WITH gone AS (DELETE FROM memberships WHERE organization = 'handover' AND user_id = ${owner.id})
          UPDATE memberships SET role = 'owner' WHERE organization = 'handover' AND user_id = ${leaver.id}`,
      ),
    );
    await open();
    await waiting(1);
    await commit();
    await expectProblem(atlas, await deletion, 409, 'last_owner');
    expect((await rolesIn(atlas, 'handover'))[leaver.id]).toBe('owner');
  });

  test('who was deleted while they accept an invitation, or sign up with it, joins nothing', async () => {
    const { owner } = await createStaff(atlas, 'closing');
    const guest = await createUser(atlas, { email: newAddress() });
    await invited(owner, guest.email, 'member');
    const token = await tokenFor(atlas, guest.email);
    const open = await hold('closing');
    const acceptance = callAs(atlas, guest, 'POST', '/v1/invitations/acceptances', { token });
    await waiting(1);
    const json = { email: guest.email, password: PASSWORD, invitation: token };
    const signUp = visit(atlas, 'POST', '/v1/users', { json });
    await waiting(2);
    expect((await callAs(atlas, guest, 'DELETE', '/v1/users/me')).status).toBe(204);
    await open();
    await expectProblem(atlas, await acceptance, 401, 'unauthenticated');
    // The address is free, and so is the invitation.
    expect((await signUp).status).toBe(202);
    expect(Object.keys(await rolesIn(atlas, 'closing'))).toHaveLength(5);
  });
});
