import type { Principal } from '../../../envelope/exchange.ts';
import type { CredentialStore } from '../credentials.ts';
import type { QuotaService } from '../quotas/service.ts';
import type { ScopesOfRoles } from '../roles.ts';
import { PERSONAL_SCOPES } from '../scope-kinds.ts';
import type { SessionRepository, Tx, UsableSession } from './repository.ts';
import { type SessionStart, type StartedSession, startSession } from './start-session.ts';

/** Sessions as credentials. */
export interface SessionService {
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
    start: (tx, start) => startSession(repository, tx, start),
    store: {
      async find(id, signal) {
        const session = await repository.findUsable(id, signal);
        if (session === null) return null;
        return { principal: principalOf(session, roles, quotaOf), secretHash: session.secretHash };
      },
      onUsed: (id) => void used.add(id),
    },
    async isUsable(id, signal) {
      const session = await repository.findUsable(id, signal);
      return session !== null && session.role !== null && !session.suspended;
    },
    async flushLastUsed() {
      if (used.size === 0) return;
      const ids = [...used];
      used = new Set();
      await repository.touch(ids);
    },
  };
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
