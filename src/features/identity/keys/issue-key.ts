import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { WithdrawInvitations } from '../members/service.ts';
import type { Standing } from '../standing/service.ts';
import { makeToken } from '../token.ts';
import type { ApiKey } from './domain.ts';
import type { KeyRepository, KeysOf, KeyToInsert, Tx } from './repository.ts';

/** A new key, with its token, which is not stored. */
export interface IssuedKey {
  readonly key: ApiKey;
  readonly token: string;
}

/** Which key a rotation replaces, and how. */
export interface Rotation {
  readonly id: string;
  readonly overlapSeconds: number;
  readonly createdBy: string | null;
  /** When the key that rotates expires, which the new one must not outlive; null if it never does. */
  readonly endsAt: Date | null;
  readonly actor: Actor;
  /** Throws if the caller may not have a key with the scopes of the old one. */
  readonly check?: (old: ApiKey) => void;
}

/** Stores a new key. Throws `AtlasError` if it is a test key and the organization cannot have one. */
export async function issueKey(
  repository: KeyRepository,
  tx: Tx,
  actor: Actor,
  content: Omit<KeyToInsert, 'id' | 'secretHash'>,
): Promise<IssuedKey> {
  if (content.kind === 'test') await requireTestSpace(repository, tx, content.owner);
  const { token, id, secretHash } = makeToken(content.kind);
  const key = await repository.insert(tx, { ...content, id, secretHash });
  const { name, kind, scopes, expiresAt } = key;
  await repository.record(tx, actor, { did: 'created', key, after: { name, kind, scopes, expiresAt } });
  return { key, token };
}

/**
 * Returns when a key expires that lives for a while, or forever if that is null, but not longer than the key that
 * creates it: otherwise an expiry would not stop a thief.
 */
export function expiryOf(lifetimeMs: number | null, creatorEndsAt: Date | null): Date | null {
  if (lifetimeMs === null) return creatorEndsAt;
  return new Date(Math.min(Date.now() + lifetimeMs, creatorEndsAt?.getTime() ?? Number.POSITIVE_INFINITY));
}

/**
 * Replaces a key by a new one of the same name, kind, scopes and lifetime, as far as the key that rotates lives that
 * long. The old one stays valid for the overlap. Throws `AtlasError` if there is no such key, or it cannot be
 * replaced.
 */
export async function rotateKey(
  repository: KeyRepository,
  tx: Tx,
  of: KeysOf,
  { id, overlapSeconds, createdBy, endsAt, actor, check }: Rotation,
): Promise<IssuedKey & { readonly old: ApiKey }> {
  const found = await repository.lock(tx, of, id);
  if (found === null) throw keyNotFound(id);
  check?.(found);
  if (!found.isUsable) throw new AtlasError('api_key_ended', `Key ${id} is revoked or expired.`);
  const { owner, kind, name, scopes, createdAt, expiresAt } = found;
  const lifetimeMs = expiresAt === null ? null : expiresAt.getTime() - createdAt.getTime();
  const issued = await issueKey(repository, tx, actor, {
    owner,
    kind,
    name,
    scopes,
    expiresAt: expiryOf(lifetimeMs, endsAt),
    createdBy,
  });
  const old = await repository.replace(tx, id, issued.key.id, overlapSeconds);
  await repository.record(tx, actor, {
    did: 'rotated',
    key: old,
    before: { expiresAt },
    after: { expiresAt: old.expiresAt, replacedBy: old.replacedBy },
  });
  return { ...issued, old };
}

async function requireTestSpace(repository: KeyRepository, tx: Tx, organization: string): Promise<void> {
  const state = await repository.testSpaceState(tx, organization);
  if (state === 'not isolated')
    throw new AtlasError(
      'isolation_off',
      'Test keys need the isolation of organizations, which is off: they would reach live accounts.',
    );
  if (state === 'taken')
    throw new AtlasError(
      'test_space_taken',
      'Another organization has the ID that the test space of yours would have.',
    );
}

/** The error for a key that does not exist, or that the caller may not see. */
export const keyNotFound = (id: string) =>
  new AtlasError('api_key_not_found', `You have no API key with the ID ${id}.`);

/** What ends with a key. */
export interface KeyEnding {
  readonly standing: Pick<Standing, 'lock'>;
  readonly withdrawInvitations: WithdrawInvitations;
}

/**
 * Revokes a key, and withdraws the open invitations that it sent. Returns the key; null if there is no such key that is
 * not revoked yet.
 */
export async function revokeKey(
  repository: KeyRepository,
  { standing, withdrawInvitations }: KeyEnding,
  tx: Tx,
  actor: Actor,
  of: KeysOf,
  id: string,
): Promise<ApiKey | null> {
  const owner = await repository.ownerOf(tx, of, id);
  if (owner === undefined) return null;
  // So that a change that the key is making ends before it, or is refused.
  await standing.lock(tx, owner);
  const key = await repository.revoke(tx, of, id);
  if (key === null) return null;
  await repository.record(tx, actor, { did: 'revoked', key });
  await withdrawInvitations(tx, actor, { organization: owner, sender: id, held: [] });
  return key;
}
