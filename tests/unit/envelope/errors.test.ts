import { expect, test } from 'bun:test';
import { errors } from '../../../src/envelope/errors.ts';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { exchangeOf, now, pendingResponse, plainProblem } from '../../support/exchange.ts';

const layer = errors(plainProblem);

test('a response passes unchanged and synchronously', () => {
  const { request, exchange } = exchangeOf();
  const response = new Response('ok');
  expect(now(layer(() => response)(request, exchange))).toBe(response);
});

test('an asynchronous response passes unchanged', async () => {
  const { request, exchange } = exchangeOf();
  const response = new Response('ok');
  expect(await layer(async () => response)(request, exchange)).toBe(response);
});

test('a thrown error becomes a response synchronously', async () => {
  const { request, exchange } = exchangeOf();
  const response = layer(() => {
    throw new Error('thrown');
  })(request, exchange);
  expect(now(response).status).toBe(500);
  expect(await now(response).text()).toBe('thrown');
});

test('a rejection becomes a response', async () => {
  const { request, exchange } = exchangeOf();
  const response = await layer(() => Promise.reject(new Error('rejected')))(request, exchange);
  expect(await response.text()).toBe('rejected');
});

test('a thrown value that is not an Error reaches the mapping, with its exchange', () => {
  const { request, exchange } = exchangeOf();
  const seen: unknown[] = [];
  const curious = errors((error, of) => {
    seen.push(error, of);
    return new Response(null, { status: 500 });
  });
  curious(() => {
    throw 'a text';
  })(request, exchange);
  expect(seen).toEqual(['a text', exchange]);
});

test('the reason of an aborted exchange becomes a response if the handler rejects with it', async () => {
  const { request, exchange } = exchangeOf();
  const { promise, reject } = pendingResponse();
  const pending = layer((_, { signal }) => {
    signal.addEventListener('abort', () => reject(signal.reason));
    return promise;
  })(request, exchange);
  exchange.abort(new AbortReason('deadline'));
  expect(await (await pending).text()).toBe('the deadline of the request passed');
});
