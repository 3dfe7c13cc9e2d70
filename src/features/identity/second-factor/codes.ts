import { createHash, randomBytes } from 'node:crypto';
import { RECOVERY_CODES } from './domain.ts';
import { TOTP_CODE } from './totp.ts';

// 120 bits, so that a plain hash protects them (OWASP ASVS 5, 6.5.2).
const BYTES = 15;
const GROUP = /.{6}(?=.)/g;
// Crockford's: without letters that look like digits, or like each other.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CHARACTERS = (BYTES * 8) / 5;
const RECOVERY_CODE = new RegExp(`^[${ALPHABET}]{${CHARACTERS}}$`);

/** A code that a person sends: from the authenticator app, or one of the recovery codes. */
export type SentCode =
  | { readonly kind: 'totp'; readonly code: string }
  | { readonly kind: 'recovery'; readonly hash: Buffer };

/** Returns what a person typed, with or without spaces and hyphens; null if it can be no code. */
export function readCode(text: string): SentCode | null {
  const compact = text.replaceAll(/[\s-]/g, '');
  if (TOTP_CODE.test(compact)) return { kind: 'totp', code: compact };
  const letters = compact.toUpperCase().replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  return RECOVERY_CODE.test(letters) ? { kind: 'recovery', hash: hashOf(letters) } : null;
}

/** Returns new recovery codes, as they are shown, and the hashes to store. */
export function makeRecoveryCodes(): { readonly codes: string[]; readonly hashes: Buffer[] } {
  const compact = Array.from({ length: RECOVERY_CODES }, randomCode);
  return { codes: compact.map((code) => code.replaceAll(GROUP, '$&-')), hashes: compact.map(hashOf) };
}

function randomCode(): string {
  let bits = BigInt(`0x${randomBytes(BYTES).toString('hex')}`);
  let code = '';
  for (let i = 0; i < CHARACTERS; i++) {
    code += ALPHABET[Number(bits & 31n)];
    bits >>= 5n;
  }
  return code;
}

function hashOf(code: string): Buffer {
  return createHash('sha256').update(code).digest();
}
