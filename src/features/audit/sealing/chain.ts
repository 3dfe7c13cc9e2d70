import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** An entry as it is sealed: every column as PostgreSQL prints it. */
export interface SealedContent {
  readonly id: string;
  /** Microseconds since 1970. */
  readonly occurredUs: string;
  readonly organization: string;
  readonly actor: string;
  readonly action: string;
  readonly targetType: string;
  readonly targetId: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** The last link of a chain, which is kept outside of the database. */
export interface Head {
  readonly position: number;
  /** In base64url. */
  readonly seal: string;
}

/** What the first entry continues. */
export const START: Head = { position: 0, seal: '' };

/** A key of the chain, with the id that names it in each entry. */
export interface ChainKey {
  readonly id: string;
  readonly key: Uint8Array;
}

/** Derives the id of a key, which reveals nothing about it. */
export function toChainKey(key: Uint8Array): ChainKey {
  const digest = createHash('sha256').update('atlas key of audit').update(key).digest();
  return { id: digest.subarray(0, 8).toString('base64url'), key };
}

/** Returns the seal of an entry: an HMAC of it, of its position, and of the seal before it (a hash chain). */
export function sealOf({ id: keyId, key }: ChainKey, previous: Head, entry: SealedContent): Buffer {
  const { id, occurredUs, organization, actor, action, targetType, targetId, before, after } = entry;
  // As JSON, so that no two entries have the same bytes.
  const link = ['v1', keyId, previous.position + 1, previous.seal];
  const content = [id, occurredUs, organization, actor, action, targetType, targetId, before, after];
  return createHmac('sha256', key)
    .update(JSON.stringify([...link, ...content]))
    .digest();
}

/** Compares seals in constant time. */
export function isSameSeal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
