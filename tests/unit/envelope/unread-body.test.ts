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

test('a response before the body was read closes the connection', () => {
  const { request, exchange } = streamed();
  const response = now(closeUnread()(() => new Response('no', { status: 413 }))(request, exchange));
  expect(response.headers.get('connection')).toBe('close');
});

test('so does the response of a layer that never reads the body', () => {
  const { request, exchange } = exchangeOf(upload, { streamsBody: true });
  const response = now(closeUnread()(() => new Response('no', { status: 401 }))(request, exchange));
  expect(response.headers.get('connection')).toBe('close');
});

test('the connection stays open if the body was read or none was sent', async () => {
  const { request, exchange } = streamed();
  const response = await closeUnread()(async () => {
    for await (const _ of exchange.body!);
    return new Response('yes');
  })(request, exchange);
  expect(response.headers.has('connection')).toBe(false);
  const bare = exchangeOf({ method: 'POST' }, { streamsBody: true });
  expect(
    now(closeUnread()(() => new Response())(bare.request, bare.exchange)).headers.has('connection'),
  ).toBe(false);
});

test('other routes are not affected', () => {
  const { request, exchange } = exchangeOf(upload);
  const response = new Response('read later');
  expect(now(closeUnread()(() => response)(request, exchange))).toBe(response);
  expect(response.headers.has('connection')).toBe(false);
});

test('a chunked body that no layer has buffered closes the connection on every route, and a buffered one does not', () => {
  const { request, exchange } = exchangeOf({ ...upload, headers: { 'transfer-encoding': 'chunked' } });
  const closes = () => now(closeUnread()(() => new Response())(request, exchange)).headers.get('connection');
  expect(closes()).toBe('close');
  exchange.isBuffered = true;
  expect(closes()).toBe(null);
});
