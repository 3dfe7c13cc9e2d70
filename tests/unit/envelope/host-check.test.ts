import { describe, expect, test } from 'bun:test';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { hostCheck } from '../../../src/envelope/host-check.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const layer = hostCheck(() => new Error('bad host'));

describe('a host', () => {
  test.each([
    'localhost',
    'atlas.example.com',
    'atlas.example.com:8000',
    '127.0.0.1:8000',
    '[::1]',
    '[::ffff:127.0.0.1]:8000',
    'api_1:80',
  ])('passes: %s', (host) => {
    const { request, exchange } = exchangeOf({ headers: { Host: host } });
    const response = new Response('ok');
    expect(now(layer(() => response)(request, exchange))).toBe(response);
  });

  test.each([
    ['is empty', ''],
    ['is repeated', 'good.example.com, evil.example.com'],
    ['holds a path', 'good.example.com/admin?'],
    ['holds a user', 'user@good.example.com'],
    ['holds a space', 'good.example.com evil'],
    ['has no name', ':8000'],
    ['has an invalid port', 'good.example.com:80a'],
    ['has a port that is too long', 'good.example.com:123456'],
    ['has an open bracket', '[::1'],
    ['holds a fragment', 'good.example.com#'],
    ['holds a backslash', 'good.example.com\\admin'],
  ])('is rejected if it %s, and the handler is not reached', (_, host) => {
    const { request, exchange } = exchangeOf({ headers: { Host: host } });
    let reached = false;
    const guarded = layer(() => {
      reached = true;
      return new Response('ok');
    });
    expect(() => guarded(request, exchange)).toThrow('bad host');
    expect(reached).toBe(false);
  });

  test('is rejected if missing', () => {
    const { request, exchange } = exchangeOf();
    expect(() => layer(() => new Response('ok'))(request, exchange)).toThrow('bad host');
  });
});

describe('the layer', () => {
  const init = { headers: { Host: 'atlas.test' } };

  test('passes asynchronous responses and errors unchanged', async () => {
    const { request, exchange } = exchangeOf(init);
    const response = new Response('ok');
    expect(await layer(async () => response)(request, exchange)).toBe(response);
    const rejecting = layer(() => Promise.reject(new Error('rejected')))(request, exchange);
    await expect(Promise.resolve(rejecting)).rejects.toThrow('rejected');
    const throwing = layer(() => {
      throw new Error('thrown');
    });
    expect(() => throwing(request, exchange)).toThrow('thrown');
  });

  test('also checks the host of an aborted request', () => {
    const { request, exchange } = exchangeOf({ headers: { Host: 'a/b' } });
    exchange.abort(new AbortReason('disconnect'));
    expect(() => layer(() => new Response('ok'))(request, exchange)).toThrow('bad host');
  });
});
