import { createHash, randomBytes } from 'node:crypto';

const BYTES = 32;
const PREFIX = 'atlas_once_';

/** A token that a mail contains, and that works once. */
export interface OneTimeToken {
  readonly token: string;
  readonly hash: Buffer;
}

/** Creates a token of 256 random bits, which therefore needs no slow hash. */
export function makeOneTimeToken(): OneTimeToken {
  const token = PREFIX + randomBytes(BYTES).toString('base64url');
  return { token, hash: hashOneTimeToken(token) };
}

/** Returns what is stored of a token. */
export function hashOneTimeToken(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
