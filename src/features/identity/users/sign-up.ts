import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { hashOneTimeToken } from '../one-time-token.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import { requireSuitable } from '../password-rules.ts';
import type { Throttle } from '../throttle/service.ts';
import type { User } from '../user.ts';
import type { Visitor } from '../visitor.ts';
import type { PersonMails } from './person-mails.ts';
import type { Tx, UserRepository } from './repository.ts';

/** Who wants to become a user. */
export interface NewPerson {
  /** In the form of `normalizeEmail`. */
  readonly email: string;
  readonly password: string;
  readonly name: string;
  /** The token of an invitation. */
  readonly invitation: string | undefined;
}

/** Who accepts an invitation. */
export interface Invitee {
  readonly userId: string;
  /** In the form of `normalizeEmail`. */
  readonly email: string;
  readonly token: string;
}

/** How people become users. */
export interface SignUp {
  /**
   * Stores a user who has to confirm the address, unless an invitation shows that it is theirs. It does and returns the
   * same if the address is known, so that nobody learns that: its owner gets another mail. Throws `sign_up_closed`,
   * `password_unsuitable`, `invitation_invalid`, and what a queue for passwords throws.
   */
  signUp(person: NewPerson, visitor: Visitor): Promise<void>;
  /**
   * Confirms an address with the token of the mail and the password of the sign-up. With the token alone, somebody who
   * signs up with the address of another person would have an account as soon as that person opens the link. Throws
   * `one_time_token_invalid`.
   */
  confirm(token: string, password: string, visitor: Visitor): Promise<void>;
  readonly stats: Readonly<Record<'created' | 'confirmed', number>>;
}

/** Dependencies of signing up. */
export interface SignUpPorts {
  readonly users: UserRepository;
  readonly hasher: PasswordHasher;
  readonly throttle: Throttle;
  readonly mails: PersonMails;
  /** Locks what accepting the invitation with this token needs, before a user is stored. */
  readonly lockInvited: (tx: Tx, token: string) => Promise<unknown>;
  readonly acceptInvitation: (tx: Tx, actor: Actor, invitee: Invitee) => Promise<unknown>;
  /** The setting `SIGN_UP`. */
  readonly policy: 'open' | 'invitation' | 'off';
}

interface Hashed extends NewPerson {
  readonly passwordHash: string;
}

export function createSignUp(ports: SignUpPorts): SignUp {
  const { users, hasher, throttle, policy } = ports;
  const stats = { created: 0, confirmed: 0 };
  const store = createStore(ports, stats);

  return {
    stats,
    async signUp(person, visitor) {
      if (policy === 'off') throw closed('Nobody can sign up.');
      if (policy === 'invitation' && person.invitation === undefined)
        throw closed('Only people with an invitation can sign up.');
      await requireSuitable(person.password, person);
      hasher.requireRoom(visitor.address);
      await throttle.mail(visitor.address, visitor.signal);
      const passwordHash = await hasher.hash(person.password, visitor);
      await users.transaction((tx) => store(tx, { ...person, passwordHash }, visitor), {
        signal: visitor.signal,
      });
    },
    async confirm(token, password, visitor) {
      const hash = hashOneTimeToken(token);
      const user = await users.findByToken('confirm_email', hash, visitor.signal);
      if (user === null) throw tokenInvalid();
      if (!(await hasher.verify(password, user.passwordHash, visitor))) throw tokenInvalid();
      await users.transaction(
        async (tx) => {
          // Another sign-up may have set another password meanwhile.
          const now = await users.lock(tx, user.id);
          if (now?.passwordHash !== user.passwordHash) throw tokenInvalid();
          if ((await users.consumeToken(tx, 'confirm_email', hash)) === null) throw tokenInvalid();
          await users.update(tx, user.id, { isConfirmed: true });
          await users.record(tx, visitor.asUser(user.id), { action: 'user.confirmed', userId: user.id });
        },
        { signal: visitor.signal },
      );
      stats.confirmed++;
    },
  };
}

/** Returns what stores a sign-up, in a transaction. */
function createStore(ports: SignUpPorts, stats: { created: number }) {
  const { users, mails, lockInvited, acceptInvitation } = ports;

  async function insert(tx: Tx, person: Hashed, visitor: Visitor): Promise<User | null> {
    const { email, name, passwordHash, invitation } = person;
    const id = Bun.randomUUIDv7();
    const isConfirmed = invitation !== undefined;
    const user = await users.insert(tx, { id, email, name, passwordHash, isConfirmed });
    if (user === null) return null;
    const after = { email, name, isConfirmed };
    await users.record(tx, visitor.asUser(id), { action: 'user.created', userId: id, after });
    stats.created++;
    return user;
  }

  /** Who never confirmed the address starts again, with the password that was sent last. */
  async function restart(tx: Tx, id: string, { name, passwordHash, invitation }: Hashed): Promise<void> {
    const isConfirmed = invitation !== undefined;
    await users.update(tx, id, { name, passwordHash, ...(isConfirmed && { isConfirmed }) });
  }

  return async (tx: Tx, person: Hashed, visitor: Visitor): Promise<void> => {
    const { email, invitation: token } = person;
    if (token !== undefined) await lockInvited(tx, token);
    const inserted = await insert(tx, person, visitor);
    const known = inserted === null ? await users.lockByEmail(tx, email) : null;
    const id = (inserted ?? known)?.id;
    // Deleted between the two: as if the sign-up had come a moment earlier.
    if (id === undefined) return;
    if (token !== undefined) await acceptInvitation(tx, visitor.asUser(id), { userId: id, email, token });
    if (known === null) {
      if (token === undefined) await mails.sendToken(tx, 'confirm_email', inserted!);
      return;
    }
    if (known.confirmedAt !== null) return mails.sendKnownAddress(tx, email);
    await restart(tx, id, person);
    if (token === undefined) await mails.sendToken(tx, 'confirm_email', known);
  };
}

const closed = (why: string) =>
  new AtlasError('sign_up_closed', `This Atlas does not take new users. ${why}`);

const tokenInvalid = () =>
  new AtlasError(
    'one_time_token_invalid',
    'The token is invalid, has expired, or was used, or the password is not the one of the sign-up.',
  );
