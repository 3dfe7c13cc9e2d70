import { expect, test } from 'bun:test';
import { ArrivingBody } from '../../../src/envelope/arriving-body.ts';
import { closeUnread } from '../../../src/envelope/unread-body.ts';
import { exchangeOf, now } from '../../support/exchange.ts';

const errors = {
  tooLarge: () => new Error('too large'),
  stalled: () => new Error('stalled'),
  cut: () => new Error('cut'),
};
const upload = { method: 'POST', body: 'twelve bytes' };

function streamed() {
  const { request, exchange } = exchangeOf(upload, { streamsBody: true });
  exchange.body = new ArrivingBody(request.body!, exchange, errors);
  return { request, exchange };
}

test('an answer before the body was read closes the connection', () => {
  const { request, exchange } = streamed();
  const answer = now(closeUnread()(() => new Response('no', { status: 413 }))(request, exchange));
  expect(answer.headers.get('connection')).toBe('close');
});

test('so does an answer of a layer that never came to the body', () => {
  const { request, exchange } = exchangeOf(upload, { streamsBody: true });
  const answer = now(closeUnread()(() => new Response('no', { status: 401 }))(request, exchange));
  expect(answer.headers.get('connection')).toBe('close');
});

test('an answer to a body that was read, or to none, leaves the connection open', async () => {
  const { request, exchange } = streamed();
  const answer = await closeUnread()(async () => {
    for await (const _ of exchange.body!);
    return new Response('yes');
  })(request, exchange);
  expect(answer.headers.has('connection')).toBe(false);
  const bare = exchangeOf({ method: 'POST' }, { streamsBody: true });
  expect(
    now(closeUnread()(() => new Response())(bare.request, bare.exchange)).headers.has('connection'),
  ).toBe(false);
});

test('other routes are none of its business', () => {
  const { request, exchange } = exchangeOf(upload);
  const answer = new Response('read later');
  expect(now(closeUnread()(() => answer)(request, exchange))).toBe(answer);
  expect(answer.headers.has('connection')).toBe(false);
});
