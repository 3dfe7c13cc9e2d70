import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID_BYTES = 8;
const PLAIN = 'plain.';
// Lengths in base64url: 8 bytes are 11 characters, 12 are 16, and a tag alone has 22.
const SEALED = /^v1\.([\w-]{11})\.([\w-]{16})\.([\w-]{22,})$/;

/** What a record belongs to. It opens nowhere else, so records cannot be exchanged for one another. */
export interface SealContext {
  /** What the secret is for, such as `webhook secret`. */
  readonly purpose: string;
  /** The id of the row, or the name of the setting. */
  readonly id: string;
}

/** Why a record cannot be opened, or nothing can be sealed. */
export type SealingFailure = 'no key' | 'unknown key' | 'plain' | 'invalid';

/** A record that cannot be opened, or a secret that cannot be sealed. Names neither the secret nor a key. */
export class SealingError extends Error {
  readonly failure: SealingFailure;

  constructor(failure: SealingFailure, why: string, remedy: string) {
    const what = failure === 'no key' ? 'A secret cannot be sealed.' : 'A sealed secret cannot be opened.';
    super(`${what}\n  why:  ${why}\n  do:   ${remedy}`);
    this.name = 'SealingError';
    this.failure = failure;
  }
}

/** The keys of a host. */
export interface SealingKeys {
  /** Base64 of 32 bytes: seals and opens. Null if none is set. */
  readonly key: string | null;
  /** Only open. */
  readonly formerKeys: readonly string[];
  /** Whether records may be plain: in development, where a key would lie next to the data. */
  readonly allowsPlain: boolean;
}

/**
 * Seals secrets for storage with AES-256-GCM, as `v1.<key id>.<nonce>.<ciphertext and tag>` in base64url. The context is
 * authenticated too. Without a key, and only if that is allowed, a record is `plain.<base64url>`. A nonce is random, which
 * is safe for 2^32 records of a key (NIST SP 800-38D, section 8.3).
 *
 * @example sealing.open(sealing.seal(secret, context), context)
 */
export class Sealing {
  /** Identifies the current key; null without one. */
  readonly keyId: string | null;
  readonly formerKeyIds: readonly string[];
  readonly allowsPlain: boolean;
  readonly #keys = new Map<string, Buffer>();

  constructor({ key, formerKeys, allowsPlain }: SealingKeys) {
    this.keyId = key === null ? null : this.#add(key);
    this.formerKeyIds = formerKeys.map((former) => this.#add(former));
    this.allowsPlain = allowsPlain;
  }

  /** Returns the record to store. Throws {@link SealingError} without a key, unless records may be plain. */
  seal(secret: Uint8Array, context: SealContext): string {
    if (this.keyId === null) {
      if (!this.allowsPlain) throw noKey();
      return PLAIN + Buffer.from(secret).toString('base64url');
    }
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#keys.get(this.keyId)!, nonce, {
      authTagLength: TAG_BYTES,
    }).setAAD(authenticated(this.keyId, context));
    const data = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    return `v1.${this.keyId}.${nonce.toString('base64url')}.${data.toString('base64url')}`;
  }

  /** Returns the secret of a record. Throws {@link SealingError}, and never returns anything but what was sealed. */
  open(record: string, context: SealContext): Buffer {
    if (record.startsWith(PLAIN)) return this.#openPlain(record);
    const [, keyId, nonce, data] = SEALED.exec(record) ?? [];
    if (keyId === undefined) throw invalid(context);
    const key = this.#keys.get(keyId);
    if (key === undefined) throw unknownKey(keyId);
    const bytes = Buffer.from(data!, 'base64url');
    // Other texts of the same bytes are not what was stored.
    if (bytes.toString('base64url') !== data) throw invalid(context);
    const decipher = createDecipheriv(ALGORITHM, key, Buffer.from(nonce!, 'base64url'), {
      authTagLength: TAG_BYTES,
    }).setAAD(authenticated(keyId, context));
    try {
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
    } catch {
      throw invalid(context);
    }
  }

  /** Opens a record to seal it again: it may be plain even where nothing else reads such a record. Throws like `open`. */
  openToSeal(record: string, context: SealContext): Buffer {
    return record.startsWith(PLAIN) ? plainOf(record) : this.open(record, context);
  }

  /** The start of every record that the current key has sealed; null without a key. */
  get currentPrefix(): string | null {
    return this.keyId === null ? null : `v1.${this.keyId}.`;
  }

  #openPlain(record: string): Buffer {
    if (!this.allowsPlain)
      throw new SealingError(
        'plain',
        'it is stored in plain text, which only development allows',
        'seal it: set SECRETS_KEY on every host, then run: npm run -s atlas -- secrets rotate',
      );
    return plainOf(record);
  }

  #add(text: string): string {
    const key = decodeKey(text);
    if (key === null) throw new Error('A key for secrets is not base64 of 32 bytes.');
    const id = keyIdOf(key);
    this.#keys.set(id, key);
    return id;
  }
}

/** Returns a new random key, as `SECRETS_KEY` takes it. */
export function generateKey(): string {
  return randomBytes(KEY_BYTES).toString('base64');
}

/** Decodes a key from base64 or base64url. Returns null if it is anything but 32 bytes. */
export function decodeKey(text: string): Buffer | null {
  if (!/^[\w+/-]{43}=?$/.test(text)) return null;
  const key = Buffer.from(text, 'base64');
  return key.length === KEY_BYTES ? key : null;
}

/** Derived from the key, so that it needs no setting. It reveals nothing about the key. */
function keyIdOf(key: Buffer): string {
  const digest = createHash('sha256').update('atlas key of secrets').update(key).digest();
  return digest.subarray(0, KEY_ID_BYTES).toString('base64url');
}

/** The parts as JSON, so that no two contexts have the same bytes. */
function authenticated(keyId: string, { purpose, id }: SealContext): Buffer {
  return Buffer.from(JSON.stringify(['v1', keyId, purpose, id]));
}

function plainOf(record: string): Buffer {
  return Buffer.from(record.slice(PLAIN.length), 'base64url');
}

const noKey = () =>
  new SealingError(
    'no key',
    'SECRETS_KEY is not set, and secrets are stored in plain text only in development',
    'print a key with: npm run -s atlas -- secrets key, and set SECRETS_KEY to it on every host',
  );

const unknownKey = (keyId: string) =>
  new SealingError(
    'unknown key',
    `it was sealed with the key ${keyId}, which this host does not have`,
    'set SECRETS_KEY to that key, or add that key to SECRETS_FORMER_KEYS; if it is lost, replace the secret',
  );

const invalid = ({ purpose, id }: SealContext) =>
  new SealingError(
    'invalid',
    `the record of the ${purpose} ${id} was changed after it was sealed, or belongs to something else`,
    'restore it from a backup, or replace the secret',
  );
