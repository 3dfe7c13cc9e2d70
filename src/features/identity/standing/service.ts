import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { liveSpaceOf } from '../organization-id.ts';
import type { ScopesOfRoles } from '../roles.ts';
import { PERSONAL_SCOPES } from '../scope-kinds.ts';
import type { StandingRepository, Tx } from './repository.ts';

/** A key or session that changes who may do what in its organization. */
export interface OrganizationCaller {
  /** Empty for a session that acts for none, or for its user. */
  readonly organization: string;
  /** The public ID of the key or session. */
  readonly keyId: string;
  /** The user, if it is a session; null for a key. */
  readonly userId: string | null;
  /** As whom it is audited. */
  readonly actor: Actor;
}

/** What a caller may do now, for changes of who may do what. */
export interface Standing {
  /**
   * Makes what follows in the transaction the only change of who may do what in these organizations: their keys,
   * members, and invitations. A transaction locks all of its organizations before anything else that exists.
   */
  lock(tx: Tx, ...organizations: readonly string[]): Promise<void>;
  /**
   * Returns the scopes that the caller has at this moment, and lets nobody take them until the transaction ends: it has
   * locked the organization. What the pipeline knows is a few seconds old: in that time somebody who was just removed
   * could give themselves access again, which would last. Throws like the pipeline if they may not do this anymore.
   */
  require(tx: Tx, caller: OrganizationCaller, scope: string): Promise<readonly string[]>;
  /** The same for the actor of a change to data of an organization, or of its test space. Locks the organization. */
  requireNow(tx: Tx, owner: string, actor: Actor, scope: string): Promise<void>;
}

export function createStanding(repository: StandingRepository, scopesOfRoles: ScopesOfRoles): Standing {
  async function scopesNow(tx: Tx, { organization, keyId, userId }: OrganizationCaller) {
    if (userId === null) return repository.scopesOfKey(tx, keyId);
    if (!(await repository.isSession(tx, keyId, userId, organization))) return null;
    const role = await repository.roleOf(tx, userId, organization);
    return [...PERSONAL_SCOPES, ...(role === undefined ? [] : scopesOfRoles[role])];
  }

  const standing: Standing = {
    async lock(tx, ...organizations) {
      // In the same order everywhere, so that two transactions never wait for each other.
      for (const organization of [...new Set(organizations)].sort()) await repository.lock(tx, organization);
    },
    async requireNow(tx, owner, actor, scope) {
      await standing.lock(tx, owner, liveSpaceOf(owner));
      const { id: keyId, userId = null } = actor;
      await standing.require(tx, { organization: owner, keyId, userId, actor }, scope);
    },
    async require(tx, caller, scope) {
      const scopes = await scopesNow(tx, caller);
      if (scopes === null)
        throw new AtlasError('unauthenticated', 'The API key or session is unknown, revoked, or expired.');
      if (!scopes.includes(scope))
        throw new AtlasError('forbidden', `This route requires the scope ${scope}.`);
      return scopes;
    },
  };
  return standing;
}
