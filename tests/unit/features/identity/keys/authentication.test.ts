import { describe, expect, test } from 'bun:test';
import { AbortReason, type Principal } from '../../../../../src/envelope/exchange.ts';
import { AtlasError } from '../../../../../src/errors.ts';
import { authentication, publicIdOf } from '../../../../../src/features/identity/keys/authentication.ts';
import { makeToken } from '../../../../../src/features/identity/keys/domain.ts';
import { exchangeOf, now } from '../../../../support/exchange.ts';
import { refusalOf } from '../../../../support/refusal.ts';

const ALICE: Principal = { owner: 'alice', keyId: 'k1', scopes: ['things:read'] };

/** Knows the token `good`, at once or later, and remembers what it was asked. */
function keysOf(later: boolean) {
  const asked: string[] = [];
  const verify = (token: string) => {
    asked.push(token);
    const found = token === 'good' ? ALICE : null;
    return later ? Promise.resolve(found) : found;
  };
  return { asked, verify };
}

const asking = (authorization: string, scope: string | null = 'things:read') =>
  exchangeOf({ headers: { Authorization: authorization } }, { scope });

describe('a request to a route with a scope', () => {
  test('enters at once when its key is known at once, and its principal is known inside', () => {
    const { request, exchange } = asking('Bearer good');
    const answer = new Response('ok');
    expect(now(authentication(keysOf(false))(() => answer)(request, exchange))).toBe(answer);
    expect(exchange.principal).toBe(ALICE);
  });

  test('enters when its key is found later', async () => {
    const { request, exchange } = asking('bearer   good ');
    const answer = new Response('ok');
    expect(await authentication(keysOf(true))(() => answer)(request, exchange)).toBe(answer);
    expect(exchange.principal).toBe(ALICE);
  });

  test.each(['', 'good', 'Basic good', 'Bearer', 'Bearer ', 'Bearer good extra', 'Bearer,good'])(
    'is refused with the header %j, and nobody is asked',
    (authorization) => {
      const keys = keysOf(false);
      const { request, exchange } = asking(authorization);
      const error = refusalOf(() => authentication(keys)(() => new Response())(request, exchange));
      expect(error.code).toBe('unauthenticated');
      expect(error.headers).toEqual({ 'WWW-Authenticate': 'Bearer realm="atlas"' });
      expect(keys.asked).toEqual([]);
    },
  );

  test('is refused without a header', () => {
    const { request, exchange } = exchangeOf({}, { scope: 'things:read' });
    const layer = authentication(keysOf(false))(() => new Response());
    expect(refusalOf(() => layer(request, exchange)).code).toBe('unauthenticated');
  });

  test('is refused with a key that nobody knows, at once or later, and the handler is not reached', async () => {
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

  test('is refused when its key lacks the scope, and stays without a principal', () => {
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

  test('hears of it when the keys cannot be asked', async () => {
    const away = new AtlasError('dependency_unavailable', 'away');
    const { request, exchange } = asking('Bearer good');
    const layer = authentication({ verify: () => Promise.reject(away) })(() => new Response());
    await expect(Promise.resolve(layer(request, exchange))).rejects.toBe(away);
  });

  test('is verified just the same after it was given up', () => {
    const { request, exchange } = asking('Bearer bad');
    exchange.abort(new AbortReason('disconnect'));
    const layer = authentication(keysOf(false))(() => new Response());
    expect(refusalOf(() => layer(request, exchange)).code).toBe('unauthenticated');
  });
});

test('a route without a scope is open, and no key is looked at', () => {
  const keys = keysOf(false);
  const { request, exchange } = asking('Bearer bad', null);
  expect(now(authentication(keys)(() => new Response('open'))(request, exchange)).status).toBe(200);
  expect(keys.asked).toEqual([]);
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

describe('the public id that a request brings', () => {
  const { token, id } = makeToken();

  test.each([`Bearer ${token}`, `bearer   ${token} `])('is read from the header %#', (authorization) => {
    expect(publicIdOf(asking(authorization).request)).toBe(id);
  });

  test('is not verified: it only tells callers apart', () => {
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
