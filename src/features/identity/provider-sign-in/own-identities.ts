import { createHash } from 'node:crypto';
import { AtlasError } from '../../../errors.ts';
import type { MailTo, Notice } from '../notice.ts';
import type { OwnSessions } from '../sessions/service.ts';
import { existing, type User } from '../user.ts';
import type { SignedIn } from '../visitor.ts';
import type { LinkedIdentity, StoredIdentity } from './domain.ts';
import { identityUnlinkedMail } from './mails.ts';
import type { IdentityRepository, Tx } from './repository.ts';

/** An identity at a provider as its user sees it. */
export interface OwnIdentity extends StoredIdentity {
  readonly id: string;
}

/** The identities at providers with which a person can sign in. */
export interface OwnIdentities {
  /** The oldest first. */
  list(person: SignedIn): Promise<OwnIdentity[]>;
  /**
   * Ends what an identity can do. Throws `identity_not_found`, and `reauthentication_required` unless the person signed
   * in within the last minutes.
   */
  unlink(person: SignedIn, id: string): Promise<void>;
  readonly stats: Readonly<Record<'identity_unlinked', number>>;
}

/** Dependencies of own identities. */
export interface OwnIdentityPorts {
  readonly repository: IdentityRepository;
  readonly users: { lock(tx: Tx, id: string): Promise<User | null> };
  readonly sessions: Pick<OwnSessions, 'requireRecent'>;
  readonly mails: { notify(tx: Tx, email: string, write: (to: MailTo) => Notice): Promise<void> };
}

export function createOwnIdentities({ repository, users, sessions, mails }: OwnIdentityPorts): OwnIdentities {
  const stats = { identity_unlinked: 0 };
  return {
    stats,
    list: async ({ userId, signal }) =>
      (await repository.list(userId, signal)).map((identity) => ({ ...identity, id: idOf(identity) })),
    async unlink(person, id) {
      const { userId, actor, signal } = person;
      await repository.transaction(
        async (tx) => {
          const { email } = existing(await users.lock(tx, userId));
          await sessions.requireRecent(person, tx);
          const identity = (await repository.listIn(tx, userId)).find((one) => idOf(one) === id);
          if (identity === undefined)
            throw new AtlasError('identity_not_found', 'You have no linked identity with this ID.');
          await repository.unlink(tx, actor, userId, identity);
          await mails.notify(tx, email, identityUnlinkedMail(identity.issuer));
        },
        { signal },
      );
      stats.identity_unlinked++;
    },
  };
}

/** Stands for issuer and subject in a path. */
function idOf({ issuer, subject }: LinkedIdentity): string {
  return createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('base64url');
}
