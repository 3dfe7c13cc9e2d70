import {
  codeOf,
  createTwoFactorUser,
  forgetStep,
  ownFactor,
  removeFactor,
} from '../../support/factor-steps.ts';
import type { TestApp } from '../../support/test-app.ts';
import { createUser, PASSWORD, passwordHash } from '../../support/user-steps.ts';
import type { Change } from './changes.ts';

/** The operations of people on their second factors. */
export function factorChanges(atlas: () => TestApp): Readonly<Record<string, Change>> {
  return {
    enrollSecondFactor: {
      actions: [],
      reason: 'It counts once it is confirmed, which is recorded.',
      async prepare() {
        const user = await createUser(atlas(), { passwordHash: await passwordHash() });
        return () => ownFactor(atlas(), 'POST', user, { password: PASSWORD });
      },
    },
    confirmSecondFactor: {
      actions: ['second_factor.enabled'],
      async prepare() {
        const user = await createUser(atlas(), { passwordHash: await passwordHash() });
        const enrolled = await ownFactor(atlas(), 'POST', user, { password: PASSWORD });
        const { secret } = (await enrolled.json()) as { secret: string };
        return () => ownFactor(atlas(), 'PUT', user, { code: codeOf(secret) });
      },
    },
    replaceRecoveryCodes: {
      actions: ['second_factor.recovery_codes_replaced'],
      async prepare() {
        const user = await createTwoFactorUser(atlas());
        await forgetStep(atlas(), user);
        const json = { password: PASSWORD, code: codeOf(user.secret) };
        return () => ownFactor(atlas(), 'POST', user, json, '/recovery-codes');
      },
    },
    removeSecondFactor: {
      actions: ['second_factor.removed'],
      async prepare() {
        const user = await createTwoFactorUser(atlas());
        return () => removeFactor(atlas(), user, { password: PASSWORD, code: codeOf(user.secret) });
      },
    },
    resetSecondFactor: {
      actions: ['second_factor.reset'],
      async prepare() {
        const { id } = await createTwoFactorUser(atlas());
        return () => atlas().call('DELETE', `/v1/operator/users/${id}/second-factor`);
      },
    },
  };
}
