import type { Actor } from '../../../utils/actor.ts';
import type { Sealing } from '../../../utils/sealing.ts';
import { openSecret } from '../../seal-secret.ts';
import type { MailTo, Notice } from '../notice.ts';
import type { Attempt, Throttle } from '../throttle/service.ts';
import type { User } from '../user.ts';
import type { Visitor } from '../visitor.ts';
import { readCode, type SentCode } from './codes.ts';
import { totpContext } from './domain.ts';
import { codeUsedMail } from './mails.ts';
import type { SecondFactorRepository, Tx } from './repository.ts';
import { stepOfCode } from './totp.ts';

/** A code that was let through, to be used in the transaction of what it allows. */
export interface CodeAttempt {
  /**
   * Uses the code. Returns false if it is wrong, or was used before. The user must be locked: of two that use a code at
   * once, one gets false.
   */
  use(tx: Tx, actor: Actor): Promise<boolean>;
  /** The transaction has committed: failures before it are forgotten. */
  succeeded(): Promise<void>;
}

/** Before a code is used. Throws `too_many_attempts`; recovery codes cannot be guessed, so they never wait. */
export type AttemptCode = (
  user: Pick<User, 'id' | 'email'>,
  code: string,
  visitor: Pick<Visitor, 'address' | 'signal'>,
) => Promise<CodeAttempt>;

/** Dependencies of using codes. */
export interface CodePorts {
  readonly repository: SecondFactorRepository;
  readonly throttle: Pick<Throttle, 'secondFactor'>;
  readonly mails: { notify(tx: Tx, email: string, write: (to: MailTo) => Notice): Promise<void> };
  readonly sealing: Sealing;
}

const NO_WAIT: Attempt = { succeeded: async () => {}, dropped: async () => {} };

/** `onRecoveryCode` is called for each recovery code that was used. */
export function createAttempt(
  { repository, throttle, mails, sealing }: CodePorts,
  onRecoveryCode: () => void,
): AttemptCode {
  return async (user, code, { address, signal }) => {
    const sent = readCode(code);
    const trial = sent?.kind === 'recovery' ? NO_WAIT : await throttle.secondFactor(user, address, signal);
    let isRecovery = false;

    async function useTotp(tx: Tx): Promise<boolean> {
      const factor = await repository.find(tx, user.id);
      if (factor === null || !factor.isConfirmed) return false;
      const step = stepOfSent(sealing, user.id, factor.record, sent);
      return step !== null && repository.useStep(tx, user.id, factor.record, step);
    }

    return {
      async use(tx, actor) {
        if (sent?.kind !== 'recovery') return useTotp(tx);
        const left = await repository.useRecoveryCode(tx, user.id, sent.hash);
        if (left === null) return false;
        isRecovery = true;
        await repository.record(tx, actor, 'recovery_code_used', user.id);
        await mails.notify(tx, user.email, codeUsedMail(left));
        return true;
      },
      async succeeded() {
        if (isRecovery) onRecoveryCode();
        await trial.succeeded();
      },
    };
  };
}

/** Returns the time step of a code of the app; null if it is wrong. Throws `secrets_key_missing`. */
export function stepOfSent(
  sealing: Sealing,
  userId: string,
  record: string,
  sent: SentCode | null,
): number | null {
  if (sent?.kind !== 'totp') return null;
  const secret = openSecret(
    sealing,
    record,
    totpContext(userId),
    'This Atlas does not have the key of the secret.',
  );
  return stepOfCode(secret, sent.code);
}
