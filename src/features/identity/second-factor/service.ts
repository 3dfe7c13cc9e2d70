import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { sealSecret } from '../../seal-secret.ts';
import type { PersonProof } from '../prove-person.ts';
import { existing, type User, type UserSecrets } from '../user.ts';
import type { SignedIn } from '../visitor.ts';
import { type AttemptCode, type CodePorts, createAttempt, stepOfSent } from './code-attempt.ts';
import { makeRecoveryCodes, readCode } from './codes.ts';
import { type Enrollment, totpContext } from './domain.ts';
import { codesReplacedMail, factorEnabledMail, factorRemovedMail, factorResetMail } from './mails.ts';
import type { Tx } from './repository.ts';
import { enrollmentOf, generateTotpSecret } from './totp.ts';

/** The second factor of people: codes of an authenticator app (TOTP, RFC 6238), and recovery codes. */
export interface SecondFactor {
  /**
   * Stores a new secret, which counts once it is confirmed. Throws `password_wrong`, `reauthentication_required`,
   * `second_factor_exists`, and `secrets_key_missing`.
   */
  enroll(person: SignedIn, password: string | undefined): Promise<Enrollment>;
  /** Turns the second factor on, and returns the recovery codes. Throws `second_factor_wrong` and `second_factor_missing`. */
  confirm(person: SignedIn, code: string): Promise<readonly string[]>;
  /** Turns it off. Throws like {@link enroll}, `second_factor_missing`, and `second_factor_wrong`. */
  remove(person: SignedIn, password: string | undefined, code: string): Promise<void>;
  /** Returns new recovery codes; the ones before end. Throws like {@link remove}. */
  replaceCodes(person: SignedIn, password: string | undefined, code: string): Promise<readonly string[]>;
  /** Turns it off for somebody who has lost it. Throws `second_factor_missing`. */
  reset(userId: string, actor: Actor, signal: AbortSignal): Promise<void>;
  readonly attempt: AttemptCode;
  readonly stats: Readonly<Record<SecondFactorStat, number>>;
}

type SecondFactorStat =
  | 'second_factor_enabled'
  | 'second_factor_removed'
  | 'second_factor_reset'
  | 'recovery_codes_replaced'
  | 'recovery_code_used';

/** Dependencies of second factors. */
export interface SecondFactorPorts extends CodePorts {
  readonly users: {
    find(id: string, signal?: AbortSignal): Promise<User | null>;
    lock(tx: Tx, id: string): Promise<UserSecrets | null>;
  };
  readonly prove: PersonProof['prove'];
  readonly requireSession: PersonProof['requireSession'];
  /** Where people find this Atlas. */
  readonly origin: string;
}

type Stats = Record<SecondFactorStat, number>;

export function createSecondFactor(ports: SecondFactorPorts): SecondFactor {
  const { repository, users, prove, mails } = ports;
  const stats = {
    second_factor_enabled: 0,
    second_factor_removed: 0,
    second_factor_reset: 0,
    recovery_codes_replaced: 0,
    recovery_code_used: 0,
  };
  const attempt = createAttempt(ports, () => stats.recovery_code_used++);

  /** Runs a change that the person has to show both factors for. */
  async function withBoth<T>(
    person: SignedIn,
    password: string | undefined,
    code: string,
    change: (tx: Tx, email: string) => Promise<T>,
  ): Promise<T> {
    const proof = await prove(person, password);
    const trial = await attempt(proof.user, code, person);
    const result = await repository.transaction(
      async (tx) => {
        if (!(await proof.requireSame(tx)).hasSecondFactor) throw missing();
        if (!(await trial.use(tx, person.actor))) throw wrong();
        return change(tx, proof.user.email);
      },
      { signal: person.signal },
    );
    await trial.succeeded();
    return result;
  }

  return {
    stats,
    attempt,
    ...createSetUp(ports, stats),
    async remove(person, password, code) {
      await withBoth(person, password, code, async (tx, email) => {
        await repository.remove(tx, person.userId);
        await repository.record(tx, person.actor, 'removed', person.userId);
        await mails.notify(tx, email, factorRemovedMail);
      });
      stats.second_factor_removed++;
    },
    async replaceCodes(person, password, code) {
      const { codes, hashes } = makeRecoveryCodes();
      await withBoth(person, password, code, async (tx, email) => {
        await repository.replaceRecoveryCodes(tx, person.userId, hashes);
        await repository.record(tx, person.actor, 'recovery_codes_replaced', person.userId);
        await mails.notify(tx, email, codesReplacedMail);
      });
      stats.recovery_codes_replaced++;
      return codes;
    },
    async reset(userId, actor, signal) {
      await repository.transaction(
        async (tx) => {
          const user = await users.lock(tx, userId);
          if (user === null || !(await repository.remove(tx, userId))) throw missing();
          await repository.record(tx, actor, 'reset', userId);
          await mails.notify(tx, user.email, factorResetMail);
        },
        { signal },
      );
      stats.second_factor_reset++;
    },
  };
}

function createSetUp(
  { repository, users, prove, requireSession, throttle, mails, sealing, origin }: SecondFactorPorts,
  stats: Stats,
): Pick<SecondFactor, 'enroll' | 'confirm'> {
  return {
    async enroll(person, password) {
      const proof = await prove(person, password);
      const secret = generateTotpSecret();
      const record = sealSecret(sealing, secret, totpContext(person.userId));
      await repository.transaction(
        async (tx) => {
          await proof.requireSame(tx);
          if (!(await repository.enroll(tx, person.userId, record))) throw exists();
        },
        { signal: person.signal },
      );
      return enrollmentOf(secret, proof.user.email, origin);
    },
    async confirm(person, code) {
      const { userId, actor, signal } = person;
      const user = existing(await users.find(userId, signal));
      if (user.hasSecondFactor) throw exists();
      const trial = await throttle.secondFactor(user, person.address, signal);
      const { codes, hashes } = makeRecoveryCodes();
      await repository.transaction(
        async (tx) => {
          existing(await users.lock(tx, userId));
          await requireSession(tx, person);
          const factor = await repository.find(tx, userId);
          if (factor === null) throw missing();
          const step = stepOfSent(sealing, userId, factor.record, readCode(code));
          if (step === null) throw wrong();
          if (!(await repository.confirm(tx, userId, factor.record, step))) throw exists();
          await repository.replaceRecoveryCodes(tx, userId, hashes);
          await repository.record(tx, actor, 'enabled', userId);
          await mails.notify(tx, user.email, factorEnabledMail);
        },
        { signal },
      );
      await trial.succeeded();
      stats.second_factor_enabled++;
      return codes;
    },
  };
}

const exists = () =>
  new AtlasError(
    'second_factor_exists',
    'Your second factor is on. Turn it off before you set up another one.',
  );
const missing = () => new AtlasError('second_factor_missing', 'There is no second factor.');
const wrong = () =>
  new AtlasError('second_factor_wrong', 'The code is wrong, is of another time, or was used.');
