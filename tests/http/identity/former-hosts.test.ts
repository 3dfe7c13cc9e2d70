import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { crc32 } from 'node:zlib';
import type { KeyKind } from '../../../src/features/identity/keys/domain.ts';
import { OPERATORS } from '../../../src/features/identity/organization-id.ts';
import { parseToken } from '../../../src/features/identity/token.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { availableFormerReleases, type FormerHost, startFormerHost } from '../../support/former-release.ts';
import { isolate } from '../../support/key-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const CHECKSUM_LENGTH = 6;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Returns the token with another kind, and the checksum of that, as anybody who holds it can write it. */
function rewritten(token: string, kind: KeyKind): string {
  const body = token.slice(0, -CHECKSUM_LENGTH).replace(/^atlas_[a-z]+_/, `atlas_${kind}_`);
  let checksum = '';
  for (let rest = crc32(body); rest > 0; rest = Math.floor(rest / ALPHABET.length))
    checksum = ALPHABET[rest % ALPHABET.length] + checksum;
  return body + checksum.padStart(CHECKSUM_LENGTH, '0');
}

describe.each(availableFormerReleases())('on a host of %s', (release) => {
  let atlas: TestApp;
  let former: FormerHost;
  beforeAll(async () => {
    atlas = await startTestApp();
    former = await startFormerHost(release, atlas);
    await isolate(atlas);
  }, START_TIMEOUT_MS);
  afterAll(async () => {
    await former.close();
    await atlas.close();
  });

  const statusOf = async (token: string) => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await former.call('GET', '/v1/accounts', { headers })).status;
  };

  test('a key opens the data of its organization', async () => {
    expect(await statusOf(await atlas.key(ALL_SCOPES))).toBe(200);
  });

  test.each([
    ['test', 'owner'],
    ['operator', OPERATORS],
  ] as const)(
    'a key of the kind %s is refused, also when its token is rewritten to live',
    async (kind, owner) => {
      const { token } = await atlas.keys.create({
        owner,
        kind,
        name: 'x',
        scopes: ALL_SCOPES,
        expiresAt: null,
      });
      const asLive = rewritten(token, 'live');
      expect(parseToken(asLive)).toMatchObject({ kind: 'live' });
      expect(await statusOf(token)).toBe(401);
      expect(await statusOf(asLive)).toBe(401);
    },
  );
});
