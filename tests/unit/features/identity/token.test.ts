import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import {
  hashSecret,
  isSecret,
  makeToken,
  parseToken,
  publicPart,
  TOKEN_KINDS,
} from '../../../../src/features/identity/token.ts';

const FORM = /^atlas_live_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

describe('a token', () => {
  test('has the documented format with its public ID, and is unique', () => {
    const made = Array.from({ length: 200 }, () => makeToken());
    for (const { token, id } of made) {
      expect(token).toMatch(FORM);
      expect(token).toStartWith(`atlas_live_${id}_`);
    }
    expect(new Set(made.map(({ token }) => token)).size).toBe(200);
    expect(new Set(made.map(({ id }) => id)).size).toBe(200);
  });

  test('splits into its id and a secret whose hash is the stored one', () => {
    for (let i = 0; i < 50; i++) {
      const { token, id, secretHash } = makeToken();
      const parts = parseToken(token)!;
      expect(parts.id).toBe(id);
      expect(isSecret(parts, secretHash)).toBe(true);
    }
  });

  test('is rejected if any character is changed', () => {
    const { token } = makeToken();
    const change = fc.tuple(fc.nat(token.length - 1), fc.constantFrom(...ALPHABET, '_', '-', ' ', 'é'));
    fc.assert(
      fc.property(change, ([at, c]) => {
        const changed = token.slice(0, at) + c + token.slice(at + 1);
        expect(parseToken(changed) === null).toBe(changed !== token);
      }),
      { numRuns: 500, seed: 11 },
    );
  });

  test('is rejected if it is malformed', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `atlas_live_${text}`),
        ),
        (text) => {
          expect(parseToken(text)).toBeNull();
        },
      ),
      { numRuns: 300, seed: 12 },
    );
  });

  test.each([
    ['the checksum of another token', (token: string) => token.slice(0, -6) + makeToken().token.slice(-6)],
    ['no checksum', (token: string) => token.slice(0, -6)],
    ['a line after it', (token: string) => `${token}\n`],
    ['a blank before it', (token: string) => ` ${token}`],
    ['the prefix of another environment', (token: string) => token.replace('live', 'test')],
    ['the prefix in capitals', (token: string) => token.replace('atlas', 'ATLAS')],
    ['another one after it', (token: string) => token + token],
  ])('is refused with %s', (_, change) => {
    expect(parseToken(change(makeToken().token))).toBeNull();
  });

  test('has a checksum that a scanner can compute without Atlas: CRC-32 in base 62', () => {
    const { token } = makeToken();
    let crc = Bun.hash.crc32(token.slice(0, -6));
    let checksum = '';
    for (; crc > 0; crc = Math.floor(crc / 62)) checksum = ALPHABET[crc % 62] + checksum;
    expect(token.slice(-6)).toBe(checksum.padStart(6, '0'));
  });
});

describe('the public part of a token', () => {
  test('is the ID of its key', () => {
    const { token, id } = makeToken();
    expect(publicPart(token)).toBe(id);
  });

  test('is read without checking the rest, and never contains any of the secret', () => {
    const { token, id } = makeToken();
    expect(publicPart(`${token.slice(0, 28)}anything`)).toBe(id);
    fc.assert(
      fc.property(fc.string(), (text) => {
        const part = publicPart(`atlas_live_${text}`);
        expect(part === null || part.length === 16).toBe(true);
      }),
      { numRuns: 300, seed: 13 },
    );
  });

  test.each([
    '',
    'atlas_live_',
    'atlas_live_0123456789abcdef',
    'atlas_live_0123456789abcde_',
    'other_live_0123456789abcdef_',
  ])('is null of %j', (token) => {
    expect(publicPart(token)).toBeNull();
  });
});

describe('a secret', () => {
  test('is stored as SHA-256 only', () => {
    const { token, secretHash } = makeToken();
    const { secret } = parseToken(token)!;
    expect(secretHash.toString('hex')).toBe(createHash('sha256').update(secret).digest('hex'));
    expect(secretHash.toString('latin1')).not.toContain(secret);
  });

  test('is distinguished from any other one', () => {
    const isOf = (secret: string, secretHash: Uint8Array) => isSecret({ secret, kind: 'live' }, secretHash);
    expect(isOf('a', hashSecret('a', 'live'))).toBe(true);
    expect(isOf('a', new Uint8Array(hashSecret('a', 'live')))).toBe(true);
    expect(isOf('b', hashSecret('a', 'live'))).toBe(false);
    expect(isOf('', hashSecret('a', 'live'))).toBe(false);
  });

  test('is that of no other kind of token', () => {
    for (const kind of TOKEN_KINDS) {
      const { token, secretHash } = makeToken(kind);
      const { secret } = parseToken(token)!;
      const matching = TOKEN_KINDS.filter((other) => isSecret({ secret, kind: other }, secretHash));
      expect(matching).toEqual([kind]);
    }
  });
});
