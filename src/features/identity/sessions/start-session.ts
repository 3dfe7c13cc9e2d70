import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { type StartedSession, USER_AGENT_LENGTH_MAX } from '../session.ts';
import { makeToken } from '../token.ts';
import type { SessionRepository, Tx } from './repository.ts';

/** Whose session starts, and from where. */
export interface SessionStart {
  readonly userId: string;
  /** The organization to act for; undefined for the first that the user joined, if there is one. */
  readonly organization?: string | undefined;
  /** When the user signed in, if that was elsewhere and before; undefined if it was just now. */
  readonly authenticatedAt?: Date | undefined;
  readonly address: string;
  readonly userAgent: string;
  /** Returns as whom the start is audited: the session itself. */
  readonly actorOf: (id: string) => Actor;
}

/**
 * Starts a session of a user who has just proven who they are. Always with a new token, so that nobody can prepare one
 * for another person. Throws `organization_not_found` if the user is no member of the named organization.
 */
export async function startSession(
  repository: SessionRepository,
  tx: Tx,
  { userId, organization, authenticatedAt, address, userAgent, actorOf }: SessionStart,
): Promise<StartedSession> {
  if (organization !== undefined && !(await repository.isMember(tx, userId, organization)))
    throw new AtlasError('organization_not_found', 'You are no member of an organization with this ID.');
  const { token, id, secretHash } = makeToken('session');
  const actor = actorOf(id);
  for (const ended of await repository.makeRoom(tx, userId))
    await repository.record(tx, actor, 'ended', ended);
  const session = await repository.insert(tx, {
    id,
    secretHash,
    userId,
    organization: organization ?? (await repository.firstOrganization(tx, userId)),
    authenticatedAt,
    address,
    userAgent: userAgent.slice(0, USER_AGENT_LENGTH_MAX).toWellFormed(),
  });
  await repository.record(tx, actor, 'created', session);
  return { session, token };
}
