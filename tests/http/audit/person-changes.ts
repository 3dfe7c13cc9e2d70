import type { TestApp } from '../../support/test-app.ts';
import {
  addMember,
  bearer,
  createSession,
  createUser,
  PASSWORD,
  passwordHash,
  signIn,
  type TestUser,
  tokenFor,
  visit,
} from '../../support/user-steps.ts';
import type { Change } from './changes.ts';

let people = 0;

/** The operations of people on themselves, which need a session or a token that was sent by mail. */
export function personChanges(atlas: () => TestApp): Readonly<Record<string, Change>> {
  const person = async () =>
    createUser(atlas(), { email: `audited${++people}@example.com`, passwordHash: await passwordHash() });
  const ask = (method: string, path: string, { token }: TestUser, json?: object) =>
    visit(atlas(), method, path, { headers: bearer(token), ...(json && { json }) });
  const signUp = (email: string) =>
    visit(atlas(), 'POST', '/v1/users', { json: { email, password: PASSWORD } });
  const requestReset = (email: string) =>
    visit(atlas(), 'POST', '/v1/users/password-resets', { json: { email } });
  return {
    signUp: {
      actions: ['user.created'],
      prepare: async () => () => signUp(`audited${++people}@example.com`),
    },
    confirmAddress: {
      actions: ['user.confirmed'],
      async prepare() {
        const email = `audited${++people}@example.com`;
        await signUp(email);
        const token = await tokenFor(atlas(), email);
        return () =>
          visit(atlas(), 'POST', '/v1/users/confirmations', { json: { token, password: PASSWORD } });
      },
    },
    requestPasswordReset: {
      actions: [],
      reason: 'Anybody can ask for a mail. What it leads to is recorded.',
      async prepare() {
        const { email } = await person();
        return () => requestReset(email);
      },
    },
    completePasswordReset: {
      actions: ['password.reset', 'session.ended'],
      async prepare() {
        const { email } = await person();
        await requestReset(email);
        const token = await tokenFor(atlas(), email);
        const json = { token, password: 'another good password' };
        return () => visit(atlas(), 'POST', '/v1/users/password-resets/completions', { json });
      },
    },
    updateOwnUser: {
      actions: ['user.updated'],
      async prepare() {
        const user = await person();
        return () => ask('PATCH', '/v1/users/me', user, { name: 'Another' });
      },
    },
    changePassword: {
      actions: ['password.changed', 'session.rotated'],
      async prepare() {
        const user = await person();
        const json = { currentPassword: PASSWORD, newPassword: 'another good password' };
        return () => ask('PUT', '/v1/users/me/password', user, json);
      },
    },
    unlinkIdentity: {
      actions: ['user.identity_unlinked'],
      async prepare() {
        const user = await person();
        await atlas().sql`
          INSERT INTO user_identities (issuer, subject, user_id) VALUES ('https://sso.test', ${user.id}, ${user.id})`;
        const listed = await ask('GET', '/v1/users/me/identities', user);
        const { identities } = (await listed.json()) as { identities: { id: string }[] };
        return () => ask('DELETE', `/v1/users/me/identities/${identities[0]!.id}`, user);
      },
    },
    deleteOwnUser: {
      actions: ['session.ended', 'user.deleted'],
      async prepare() {
        const user = await person();
        return () => ask('DELETE', '/v1/users/me', user);
      },
    },
    signIn: {
      actions: ['session.created'],
      async prepare() {
        const { email } = await person();
        return () => signIn(atlas(), email);
      },
    },
    endSession: {
      actions: ['session.ended'],
      async prepare() {
        const user = await person();
        return () => ask('DELETE', '/v1/sessions/current', user);
      },
    },
    endOtherSessions: {
      actions: ['session.ended'],
      async prepare() {
        const user = await person();
        await createSession(atlas(), user.id);
        return () => ask('DELETE', '/v1/sessions', user);
      },
    },
    switchOrganization: {
      actions: ['session.rotated'],
      async prepare() {
        const user = await person();
        await addMember(atlas(), user.id, 'audited', 'viewer');
        return () => ask('PUT', '/v1/sessions/current/organization', user, { organization: 'audited' });
      },
    },
  };
}
