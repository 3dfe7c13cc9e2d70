import type { Actor } from '../../../utils/actor.ts';

/** What a key opens: the live data of its organization, its test space, or the routes of operators. */
export type KeyKind = 'live' | 'test' | 'operator';

/** An API key as it is stored, without its secret. */
export interface ApiKey {
  readonly id: string;
  /** The organization that it belongs to. */
  readonly owner: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly scopes: readonly string[];
  /** The ID of the key or session that created it; null if a command did. */
  readonly createdBy: string | null;
  /** The ID of the key that replaced it in a rotation. */
  readonly replacedBy: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
}

/** Who creates and changes keys over HTTP: a key of the same organization, or the session of a member. */
export interface KeyCaller {
  readonly organization: string;
  readonly kind: 'live' | 'test';
  /** The public ID of the key or session. */
  readonly keyId: string;
  /** The user, if it is a session; null for a key. */
  readonly userId: string | null;
  readonly scopes: readonly string[];
  /** As whom it is audited. */
  readonly actor: Actor;
}

/** Limits of one organization for keys of one kind created over HTTP. Ended ones are stored for {@link ENDED_DAYS}. */
export const USABLE_KEYS_MAX = 200;
export const ENDED_KEYS_MAX = 2000;
export const ENDED_DAYS = 30;

/** How long the old key stays valid after a rotation. */
export const OVERLAP_SECONDS_MAX = 604_800;
export const OVERLAP_SECONDS_DEFAULT = 86_400;

/** Returns whether a key may still be used. */
export function stateOf({ revokedAt, expiresAt }: Pick<ApiKey, 'revokedAt' | 'expiresAt'>) {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && expiresAt.getTime() <= Date.now() ? 'expired' : 'active';
}
