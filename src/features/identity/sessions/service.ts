import type { Principal } from '../../../envelope/exchange.ts';
import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { CredentialStore } from '../credentials.ts';
import type { QuotaService } from '../quotas/service.ts';
import type { ScopesOfRoles } from '../roles.ts';
import { PERSONAL_SCOPES } from '../scope-kinds.ts';
import { RECENT_MINUTES, type Session, type StartedSession } from '../session.ts';
import { makeToken } from '../token.ts';
import type { SignedIn } from '../visitor.ts';
import type { SessionRepository, Tx, UsableSession } from './repository.ts';
import { type SessionStart, startSession } from './start-session.ts';

/** What people do with their own sessions. They throw `session_not_found` if a session has ended, or is another's. */
export interface OwnSessions {
  list(person: SignedIn): Promise<Session[]>;
  /** `id` may be `current`. */
  get(person: SignedIn, id: string): Promise<Session>;
  /**
   * Throws `reauthentication_required` unless the person signed in to the current session within the last minutes, by
   * the clock of the database, and it has not ended. In a transaction, which has locked the user, it cannot end before.
   */
  requireRecent(person: Pick<SignedIn, 'userId' | 'sessionId' | 'signal'>, tx?: Tx): Promise<void>;
  end(person: SignedIn, id: string): Promise<Session>;
  /** Ends all sessions of the person but the current one. */
  endOthers(person: SignedIn): Promise<void>;
  /**
   * Lets the session act for another organization, or for none if it is empty, with another token. Throws
   * `organization_not_found` unless the person is a member.
   */
  actFor(person: SignedIn, organization: string): Promise<StartedSession>;
  /** Gives the current session another token, in a transaction. */
  rotate(tx: Tx, person: SignedIn, organization?: string): Promise<StartedSession>;
  /** Ends a session of a user if there is one, in a transaction. */
  endIfAny(tx: Tx, actor: Actor, of: { readonly userId: string; readonly id: string }): Promise<void>;
  /** Ends all sessions of a user but one, in a transaction. */
  endAll(tx: Tx, person: Pick<SignedIn, 'userId' | 'actor'>, exceptId: string | null): Promise<void>;
}

/** Sessions of people, and sessions as credentials. */
export interface SessionService extends OwnSessions {
  readonly transaction: SessionRepository['transaction'];
  /** Starts a session of a user who has just proven who they are. See {@link startSession}. */
  start(tx: Tx, start: SessionStart): Promise<StartedSession>;
  readonly store: CredentialStore;
  /**
   * Returns whether the session may currently be used for its organization, as the database says. For long-lived
   * streams, which every role may read.
   */
  isUsable(id: string, signal: AbortSignal): Promise<boolean>;
  /** Saves which sessions were used since the last call. */
  flushLastUsed(): Promise<void>;
  /** Deletes sessions that have ended. */
  forget(): Promise<void>;
}

/** Dependencies of sessions. */
export interface SessionPorts {
  readonly repository: SessionRepository;
  readonly roles: ScopesOfRoles;
  readonly quotaOf: QuotaService['ofCaller'];
}

export function createSessionService({ repository, roles, quotaOf }: SessionPorts): SessionService {
  let used = new Set<string>();
  return {
    ...createOwnSessions(repository),
    transaction: repository.transaction,
    start: (tx, start) => startSession(repository, tx, start),
    store: {
      async find(id, tier) {
        const session = await repository.findUsable(id, { tier });
        if (session === null) return null;
        return { principal: principalOf(session, roles, quotaOf), secretHash: session.secretHash };
      },
      onUsed: (id) => void used.add(id),
    },
    async isUsable(id, signal) {
      const session = await repository.findUsable(id, { signal });
      return session !== null && session.role !== null && !session.suspended;
    },
    forget: repository.forget,
    async flushLastUsed() {
      if (used.size === 0) return;
      const ids = [...used];
      used = new Set();
      await repository.touch(ids);
    },
  };
}

/** The sessions of one person. */
function createOwnSessions(repository: SessionRepository): OwnSessions {
  const idOf = ({ sessionId }: SignedIn, id: string) => (id === 'current' ? sessionId : id);

  const sessions: OwnSessions = {
    list: ({ userId, signal }) => repository.list(userId, signal),
    async get(person, id) {
      const found = await repository.list(person.userId, person.signal);
      const session = found.find((one) => one.id === idOf(person, id));
      if (session === undefined) throw notFound();
      return session;
    },
    async requireRecent({ userId, sessionId, signal }, tx) {
      if (!(await repository.isRecent(userId, sessionId, { signal, tx })))
        throw new AtlasError(
          'reauthentication_required',
          `This needs a session of the last ${RECENT_MINUTES} minutes.`,
        );
    },
    end: (person, id) =>
      repository.transaction(
        async (tx) => {
          const session = await repository.end(tx, person.userId, idOf(person, id));
          if (session === null) throw notFound();
          await repository.record(tx, person.actor, 'ended', session);
          return session;
        },
        { signal: person.signal },
      ),
    endOthers: (person) =>
      repository.transaction((tx) => sessions.endAll(tx, person, person.sessionId), {
        signal: person.signal,
      }),
    actFor: (person, organization) =>
      repository.transaction(
        async (tx) => {
          if (organization !== '' && !(await repository.isMember(tx, person.userId, organization)))
            throw new AtlasError(
              'organization_not_found',
              'You are no member of an organization with this ID.',
            );
          return sessions.rotate(tx, person, organization);
        },
        { signal: person.signal },
      ),
    async rotate(tx, { userId, sessionId, actor }, organization) {
      const { token, id, secretHash } = makeToken('session');
      const session = await repository.rotate(tx, userId, sessionId, { id, secretHash, organization });
      if (session === null) throw notFound();
      await repository.record(tx, actor, 'rotated', session);
      return { session, token };
    },
    async endIfAny(tx, actor, { userId, id }) {
      const ended = await repository.end(tx, userId, id);
      if (ended !== null) await repository.record(tx, actor, 'ended', ended);
    },
    async endAll(tx, { userId, actor }, exceptId) {
      for (const ended of await repository.endAll(tx, userId, exceptId))
        await repository.record(tx, actor, 'ended', ended);
    },
  };
  return sessions;
}

/** A user who is no member of the organization acts for none. */
function principalOf(
  { id, userId, organization, role, suspended, organizationQuota }: UsableSession,
  roles: ScopesOfRoles,
  quotaOf: QuotaService['ofCaller'],
): Principal {
  const owner = role === null ? '' : organization;
  return {
    owner,
    organization: owner,
    kind: 'session',
    keyId: id,
    userId,
    scopes: role === null ? PERSONAL_SCOPES : [...roles[role], ...PERSONAL_SCOPES],
    suspended: role !== null && suspended,
    quota: quotaOf(id, owner, { keyQuota: null, organizationQuota }),
  };
}

const notFound = () =>
  new AtlasError('session_not_found', 'You have no session with this ID, or it has ended.');
