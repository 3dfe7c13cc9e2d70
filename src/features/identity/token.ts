import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** What a token belongs to: an API key for live data, for a test space, or of an operator; or the session of a user. */
export const TOKEN_KINDS = ['live', 'test', 'operator', 'session'] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

const PREFIX = 'atlas_';
const ID_LENGTH = 16;
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const HASH_BYTES = 32;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const TOKEN = new RegExp(
  `^${PREFIX}(${TOKEN_KINDS.join('|')})_([0-9A-Za-z]{${ID_LENGTH}})_([0-9A-Za-z]{${SECRET_LENGTH}})([0-9A-Za-z]{${CHECKSUM_LENGTH}})$`,
);

/** The parts of a token with a valid checksum. */
export interface TokenParts {
  readonly kind: TokenKind;
  /** The public ID, which identifies the key or session before it is verified. */
  readonly id: string;
  readonly secret: string;
}

/**
 * Creates a token: `atlas_`, kind, `_`, public ID, `_`, 256 random bits, CRC-32 of everything before it. Secret scanners
 * find leaked tokens by prefix and checksum alone (the format of GitHub's tokens).
 */
export function makeToken(kind: TokenKind = 'live'): { token: string; id: string; secretHash: Buffer } {
  const id = encode62(randomBytes(12), ID_LENGTH).slice(-ID_LENGTH);
  const secret = encode62(randomBytes(32), SECRET_LENGTH);
  const body = `${PREFIX}${kind}_${id}_${secret}`;
  return { token: body + checksumOf(body), id, secretHash: hashSecret(secret, kind) };
}

/** Splits a token. Returns null if it is not a token of Atlas. */
export function parseToken(token: string): TokenParts | null {
  const parts = TOKEN.exec(token);
  if (parts === null || checksumOf(token.slice(0, -CHECKSUM_LENGTH)) !== parts[4]) return null;
  return { kind: parts[1] as TokenKind, id: parts[2]!, secret: parts[3]! };
}

/** Returns the public ID in a token without checking the rest, or null if it has none. */
export function publicPart(token: string): string | null {
  if (!token.startsWith(PREFIX)) return null;
  const start = token.indexOf('_', PREFIX.length) + 1;
  return start > 0 && token[start + ID_LENGTH] === '_' ? token.slice(start, start + ID_LENGTH) : null;
}

/**
 * Hashes the secret of a token. A slow hash is not needed, because 256 random bits cannot be guessed. It covers the
 * kind, unless that is `live`: a token can be rewritten to another kind with the checksum of that, and hosts of the
 * release before, which know one kind, compare only the hash.
 */
export function hashSecret(secret: string, kind: TokenKind): Buffer {
  const text = kind === 'live' ? secret : `${kind}_${secret}`;
  return createHash('sha256').update(text).digest();
}

/** Returns whether the secret of a token of this kind matches the hash, in constant time. */
export function isSecret(
  { secret, kind }: Pick<TokenParts, 'secret' | 'kind'>,
  secretHash: Uint8Array,
): boolean {
  return timingSafeEqual(hashSecret(secret, kind), secretHash);
}

/** Whether this can be the hash of a secret. */
export function isHash(secretHash: unknown): boolean {
  return secretHash instanceof Uint8Array && secretHash.byteLength === HASH_BYTES;
}

function checksumOf(text: string): string {
  return encode62(Buffer.from(crc32(text).toString(16).padStart(8, '0'), 'hex'), CHECKSUM_LENGTH);
}

function encode62(bytes: Buffer, length: number): string {
  let rest = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  while (rest > 0n) {
    text = ALPHABET[Number(rest % 62n)] + text;
    rest /= 62n;
  }
  return text.padStart(length, '0');
}
