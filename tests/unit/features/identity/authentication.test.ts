import { describe, expect, test } from 'bun:test';
import { AbortReason } from '../../../../src/envelope/exchange.ts';
import { AtlasError } from '../../../../src/errors.ts';
import { authentication, publicIdOf } from '../../../../src/features/identity/authentication.ts';
import { makeToken } from '../../../../src/features/identity/token.ts';
import { exchangeOf, now } from '../../../support/exchange.ts';
import { principalOf } from '../../../support/principal.ts';
import { refusalOf } from '../../../support/refusal.ts';

const ALICE = principalOf('alice', { keyId: 'k1', scopes: ['things:read'] });

/** Verifies the token `good`, synchronously or not, and records its calls. */
function keysOf(later: boolean) {
  const verified: string[] = [];
  const verify = (token: string) => {
    verified.push(token);
    const found = token === 'good' ? ALICE : null;
    return later ? Promise.resolve(found) : found;
  };
  return { verified, verify };
}

const asking = (authorization: string, scope: string | null = 'things:read') =>
  exchangeOf({ headers: { Authorization: authorization } }, { scope });

describe('a request to a route with a scope', () => {
  test('passes synchronously if its key is verified synchronously, with its principal', () => {
    const { request, exchange } = asking('Bearer good');
    const response = new Response('ok');
    expect(now(authentication(keysOf(false))(() => response)(request, exchange))).toBe(response);
    expect(exchange.principal).toBe(ALICE);
  });

  test('passes once its key is verified', async () => {
    const { request, exchange } = asking('bearer   good ');
    const response = new Response('ok');
    expect(await authentication(keysOf(true))(() => response)(request, exchange)).toBe(response);
    expect(exchange.principal).toBe(ALICE);
  });

  test.each(['', 'good', 'Basic good', 'Bearer', 'Bearer ', 'Bearer good extra', 'Bearer,good'])(
    'is rejected with the header %j, without verification',
    (authorization) => {
      const keys = keysOf(false);
      const { request, exchange } = asking(authorization);
      const error = refusalOf(() => authentication(keys)(() => new Response())(request, exchange));
      expect(error.code).toBe('unauthenticated');
      expect(error.headers).toEqual({ 'WWW-Authenticate': 'Bearer realm="atlas"' });
      expect(keys.verified).toEqual([]);
    },
  );

  test('is verified again however often its header was seen, and is never taken for another', () => {
    const keys = keysOf(false);
    const layer = authentication(keys)(() => new Response('ok'));
    const sent = ['Bearer good', 'Bearer good', 'Bearer good2', 'bearer good', `Bearer ${'x'.repeat(500)}`];
    for (const header of [...sent, ...sent]) {
      const { request, exchange } = asking(header);
      if (header.endsWith(' good')) layer(request, exchange);
      else expect(refusalOf(() => layer(request, exchange)).code).toBe('unauthenticated');
    }
    const tokens = ['good', 'good', 'good2', 'good', 'x'.repeat(500)];
    expect(keys.verified).toEqual([...tokens, ...tokens]);
  });

  test('is rejected without a header', () => {
    const { request, exchange } = exchangeOf({}, { scope: 'things:read' });
    const layer = authentication(keysOf(false))(() => new Response());
    expect(refusalOf(() => layer(request, exchange)).code).toBe('unauthenticated');
  });

  test('is rejected with an unknown key, synchronously or not, and the handler is not reached', async () => {
    let reached = false;
    const handler = () => {
      reached = true;
      return new Response();
    };
    const { request, exchange } = asking('Bearer bad');
    expect(refusalOf(() => authentication(keysOf(false))(handler)(request, exchange)).code).toBe(
      'unauthenticated',
    );
    const later = Promise.resolve(authentication(keysOf(true))(handler)(request, exchange));
    await expect(later).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(reached).toBe(false);
    expect(exchange.principal).toBeNull();
  });

  test('is rejected if its key lacks the scope, and has no principal', () => {
    const { request, exchange } = asking('Bearer good', 'things:write');
    const layer = authentication(keysOf(false))(() => new Response());
    const error = refusalOf(() => layer(request, exchange));
    expect(error).toMatchObject({
      code: 'forbidden',
      message: 'This route requires the scope things:write.',
    });
    expect(error.headers).toBeUndefined();
    expect(exchange.principal).toBeNull();
  });

  test('is rejected although its caller, or another one, was admitted before', () => {
    let found = ALICE;
    const layer = authentication({ verify: () => found })(() => new Response('ok'));
    const outcomeFor = (principal: typeof ALICE, scope: string) => {
      found = principal;
      const { request, exchange } = asking('Bearer good', scope);
      try {
        layer(request, exchange);
        return exchange.principal;
      } catch (error) {
        return [(error as AtlasError).code, exchange.principal];
      }
    };
    const writer = principalOf('bob', { scopes: ['things:write'] });
    const suspended = { ...ALICE, suspended: true };
    for (let again = 0; again < 2; again++) {
      expect(outcomeFor(ALICE, 'things:read')).toBe(ALICE);
      expect(outcomeFor(ALICE, 'things:write')).toEqual(['forbidden', null]);
      expect(outcomeFor(writer, 'things:read')).toEqual(['forbidden', null]);
      expect(outcomeFor(suspended, 'things:read')).toEqual(['organization_suspended', null]);
      expect(outcomeFor(writer, 'things:write')).toBe(writer);
    }
  });

  test('is rejected while the organization is suspended', () => {
    const suspended = principalOf('acme', { scopes: ['things:read'], suspended: true });
    const layer = authentication({ verify: () => suspended })(() => new Response());
    const { request, exchange } = asking('Bearer good');
    expect(refusalOf(() => layer(request, exchange))).toMatchObject({
      code: 'organization_suspended',
      message: 'The organization acme is suspended.',
    });
    expect(exchange.principal).toBeNull();
  });

  test('fails if the key cannot be verified', async () => {
    const unavailable = new AtlasError('dependency_unavailable', 'unavailable');
    const { request, exchange } = asking('Bearer good');
    const layer = authentication({ verify: () => Promise.reject(unavailable) })(() => new Response());
    await expect(Promise.resolve(layer(request, exchange))).rejects.toBe(unavailable);
  });

  test('is also verified after it was aborted', () => {
    const { request, exchange } = asking('Bearer bad');
    exchange.abort(new AbortReason('disconnect'));
    const layer = authentication(keysOf(false))(() => new Response());
    expect(refusalOf(() => layer(request, exchange)).code).toBe('unauthenticated');
  });
});

test('a route without a scope needs no key, and none is verified', () => {
  const keys = keysOf(false);
  const { request, exchange } = asking('Bearer bad', null);
  expect(now(authentication(keys)(() => new Response('open'))(request, exchange)).status).toBe(200);
  expect(keys.verified).toEqual([]);
  expect(exchange.principal).toBeNull();
});

test('errors of the handler pass', async () => {
  const { request, exchange } = asking('Bearer good');
  const throwing = authentication(keysOf(false))(() => {
    throw new Error('thrown');
  });
  expect(() => throwing(request, exchange)).toThrow('thrown');
  const rejecting = authentication(keysOf(true))(() => Promise.reject(new Error('rejected')));
  await expect(Promise.resolve(rejecting(request, exchange))).rejects.toThrow('rejected');
});

describe('the public ID of a request', () => {
  const { token, id } = makeToken();

  test.each([`Bearer ${token}`, `bearer   ${token} `])('is read from the header %#', (authorization) => {
    expect(publicIdOf(asking(authorization).request)).toBe(id);
  });

  test('is not verified and only distinguishes callers', () => {
    expect(publicIdOf(asking(`Bearer ${token.slice(0, -1)}!`).request)).toBe(id);
  });

  test.each(['Basic dXNlcjpwYXNz', 'Bearer good', 'Bearer', `Bearer ${token} extra`])(
    'is null with the header %#',
    (authorization) => {
      expect(publicIdOf(asking(authorization).request)).toBeNull();
    },
  );

  test('is null without a header', () => {
    expect(publicIdOf(exchangeOf().request)).toBeNull();
  });
});
