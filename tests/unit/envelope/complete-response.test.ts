import { expect, test } from 'bun:test';
import { completeResponse } from '../../../src/envelope/complete-response.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const mark = ({ headers }: Response) => headers.set('x-complete', 'yes');

test('a response that the exchange did not make is completed, at once or when it settles', async () => {
  const { exchange } = exchangeOf();
  const response = new Response('page');
  expect(now(completeResponse(response, exchange, mark))).toBe(response);
  expect(response.headers.get('x-complete')).toBe('yes');
  const late = await completeResponse(Promise.resolve(new Response('stream')), exchange, mark);
  expect(late.headers.get('x-complete')).toBe('yes');
});

test('a response that the exchange made is not touched', async () => {
  const { exchange } = exchangeOf();
  const response = exchange.json({}, 200);
  expect(now(completeResponse(response, exchange, mark))).toBe(response);
  expect(await completeResponse(Promise.resolve(response), exchange, mark)).toBe(response);
  expect(response.headers.has('x-complete')).toBe(false);
});

test('errors pass', async () => {
  const { exchange } = exchangeOf();
  const rejected = completeResponse(Promise.reject(new Error('rejected')), exchange, mark);
  await expect(Promise.resolve(rejected)).rejects.toThrow('rejected');
});
