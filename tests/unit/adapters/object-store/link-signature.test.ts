import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { signedLinks } from '../../../../src/adapters/object-store/link-signature.ts';
import type { OpenedLink } from '../../../../src/adapters/object-store/object-store.ts';
import { AtlasError } from '../../../../src/errors.ts';

const NOW_MS = 1_800_000_000_000;
const SECRET = new Uint8Array(32).fill(7);
const SHA256 = 'a'.repeat(64);
const UPLOAD = {
  method: 'PUT',
  key: 'files/1',
  sizeBytes: 10,
  sha256: SHA256,
  mediaType: 'text/plain',
} as const;
const DOWNLOAD = {
  method: 'GET',
  key: 'files/1',
  disposition: 'attachment',
  mediaType: 'text/plain',
} as const;

const links = (nowMs = NOW_MS, secret = SECRET) => signedLinks(secret, () => nowMs);
const split = (url: string) => {
  const { pathname, searchParams } = new URL(url, 'http://atlas.test');
  return { key: decodeURIComponent(pathname.slice('/v1/objects/'.length)), query: searchParams };
};

const recode = (hex: string, encoding: 'base64' | 'base64url') =>
  encodeURIComponent(Buffer.from(hex, 'hex').toString(encoding));

/** Returns what a link permits, or the code of the error. */
function open(url: string, method: string, at = links()): OpenedLink | string {
  const { key, query } = split(url);
  try {
    return at.open(method, key, query);
  } catch (error) {
    if (error instanceof AtlasError) return error.code;
    throw error;
  }
}

describe('a signed link', () => {
  test.each([UPLOAD, DOWNLOAD])('permits what it was signed for: %j', (what) => {
    const url = links().sign(what, 60);
    expect(url).toStartWith('/v1/objects/files/1?');
    expect(open(url, what.method)).toEqual(what);
  });

  test('preserves any disposition and type', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, (disposition, mediaType) => {
        const what = { ...DOWNLOAD, disposition, mediaType };
        const wellFormed = disposition.isWellFormed() && mediaType.isWellFormed();
        const opened = open(links().sign(what, 60), 'GET');
        return !wellFormed || Bun.deepEquals(opened, what);
      }),
    );
  });

  test('permits nothing once it has expired', () => {
    const url = links().sign(UPLOAD, 60);
    expect(open(url, 'PUT', links(NOW_MS + 59_999))).toEqual(UPLOAD);
    expect(open(url, 'PUT', links(NOW_MS + 60_000))).toBe('link_invalid');
  });

  test.each([
    ['another method', (url: string) => [url, 'GET']],
    ['a lower-case method', (url: string) => [url, 'put']],
    ['another key', (url: string) => [url.replace('files/1', 'files/2'), 'PUT']],
    ['another size', (url: string) => [url.replace('size=10', 'size=11'), 'PUT']],
    ['another digest', (url: string) => [url.replace(SHA256, 'b'.repeat(64)), 'PUT']],
    ['another type', (url: string) => [url.replace('plain', 'html'), 'PUT']],
    ['a later expiry', (url: string) => [url.replace(/expires=\d+/, 'expires=9999999999'), 'PUT']],
    ['no expiry', (url: string) => [url.replace(/&expires=\d+/, ''), 'PUT']],
    ['an extra parameter', (url: string) => [`${url}&size=99`, 'PUT']],
    ['an extra parameter in front', (url: string) => [url.replace('?', '?size=99&'), 'PUT']],
    ['no signature', (url: string) => [url.replace(/&signature=\w+/, ''), 'PUT']],
    ['a truncated signature', (url: string) => [url.slice(0, -2), 'PUT']],
    ['a signature in upper case', (url: string) => [url.replace(/\w+$/, (hex) => hex.toUpperCase()), 'PUT']],
    ['a signature in Base64', (url: string) => [url.replace(/\w+$/, (hex) => recode(hex, 'base64')), 'PUT']],
    [
      'a signature in Base64url',
      (url: string) => [url.replace(/\w+$/, (hex) => recode(hex, 'base64url')), 'PUT'],
    ],
    ['garbage after the signature', (url: string) => [`${url}zz`, 'PUT']],
    ['a space after the signature', (url: string) => [`${url}%20`, 'PUT']],
    ['a line break after the signature', (url: string) => [`${url}%0A`, 'PUT']],
    ['digits after the signature', (url: string) => [`${url}00`, 'PUT']],
    ['half a digit after the signature', (url: string) => [`${url}0`, 'PUT']],
    ['a second signature', (url: string) => [`${url}&signature=00`, 'PUT']],
    ['the signature twice', (url: string) => [`${url}&${/signature=\w+/.exec(url)![0]}`, 'PUT']],
    ['a parameter without a name', (url: string) => [`${url}&=`, 'PUT']],
    ['a malformed signature', (url: string) => [url.replace(/signature=\w+/, 'signature=zz'), 'PUT']],
  ])('permits nothing with %s', (_, change) => {
    const [url, method] = change(links().sign(UPLOAD, 60));
    expect(open(url!, method!)).toBe('link_invalid');
  });

  test('signed with another secret permits nothing', () => {
    const url = links(NOW_MS, new Uint8Array(32).fill(8)).sign(UPLOAD, 60);
    expect(open(url, 'PUT')).toBe('link_invalid');
  });

  test('does not permit what the same characters in other fields would', () => {
    const what = { ...DOWNLOAD, disposition: 'a&type=b', mediaType: 'c' };
    expect(open(links().sign(what, 60), 'GET')).toEqual(what);
    expect(open(links().sign(what, 60).replace('a%26type%3Db', 'a&type=b'), 'GET')).toBe('link_invalid');
  });

  test.each([0, -1, 604_801, Number.NaN])('cannot be signed for %p seconds', (seconds) => {
    expect(() => links().sign(UPLOAD, seconds)).toThrow(RangeError);
  });
});
