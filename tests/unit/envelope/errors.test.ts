import { expect, test } from 'bun:test';
import { errors } from '../../../src/envelope/errors.ts';
import { AbortReason } from '../../../src/envelope/exchange.ts';
import { exchangeOf, now, pendingResponse, plainProblem } from '../../support/exchange.ts';

const layer = errors(plainProblem);

test('an answer passes as it is, at once', () => {
  const { request, exchange } = exchangeOf();
  const answer = new Response('ok');
  expect(now(layer(() => answer)(request, exchange))).toBe(answer);
});

test('an answer that comes later passes as it is', async () => {
  const { request, exchange } = exchangeOf();
  const answer = new Response('ok');
  expect(await layer(async () => answer)(request, exchange)).toBe(answer);
});

test('what is thrown becomes a response, at once', async () => {
  const { request, exchange } = exchangeOf();
  const response = layer(() => {
    throw new Error('thrown');
  })(request, exchange);
  expect(now(response).status).toBe(500);
  expect(await now(response).text()).toBe('thrown');
});

test('what is rejected becomes a response', async () => {
  const { request, exchange } = exchangeOf();
  const response = await layer(() => Promise.reject(new Error('rejected')))(request, exchange);
  expect(await response.text()).toBe('rejected');
});

test('even what is no error reaches the mapping, with its exchange', () => {
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

test('the reason of an aborted exchange becomes a response when the handler rejects with it', async () => {
  const { request, exchange } = exchangeOf();
  const { promise, reject } = pendingResponse();
  const answered = layer((_, { signal }) => {
    signal.addEventListener('abort', () => reject(signal.reason));
    return promise;
  })(request, exchange);
  exchange.abort(new AbortReason('deadline'));
  expect(await (await answered).text()).toBe('the deadline of the request passed');
});
