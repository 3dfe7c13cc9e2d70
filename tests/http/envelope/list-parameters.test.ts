import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { relayAll } from '../../support/event-steps.ts';
import { openAccount, openFundedAccount, postTransfer } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { createWebhook } from '../../support/webhook-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

const TARGET = { url: 'http://127.0.0.1:9/' };

let atlas: TestApp;
let lists: { readonly path: string; readonly cursor: string }[];
beforeAll(async () => {
  atlas = await startTestApp({ WEBHOOKS_ALLOWED_HOSTS: '127.0.0.1' });
  const bank = await openAccount(atlas);
  const alice = await openFundedAccount(atlas, bank, 5);
  await postTransfer(atlas, { debitAccountId: alice.id, creditAccountId: bank.id, amount: 1 });
  const [webhook] = [await createWebhook(atlas, TARGET), await createWebhook(atlas, TARGET)];
  for (let i = 0; i < 2; i++) await atlas.call('POST', `/v1/webhooks/${webhook.id}/test`);
  const paths = [
    '/v1/accounts',
    `/v1/accounts/${alice.id}/transfers`,
    '/v1/webhooks',
    `/v1/webhooks/${webhook.id}/deliveries`,
    '/v1/events',
  ];
  await relayAll(atlas);
  lists = await Promise.all(
    paths.map(async (path) => {
      const response = await atlas.call('GET', `${path}?limit=1`);
      const { nextCursor } = (await response.json()) as { nextCursor: string };
      return { path, cursor: nextCursor };
    }),
  );
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const expectRefused = async (path: string, query: string, pointer: string) => {
  const response = await atlas.call('GET', `${path}?${query}`);
  await expectProblem(atlas, response, 400, 'invalid_request', [pointer]);
};
const expectRefusedEverywhere = async (query: string, pointer: string) => {
  for (const { path } of lists) await expectRefused(path, query, pointer);
};

describe('a limit is rejected if it is', () => {
  test.each(['0', '201', 'abc', '-1', '1.5', '', '%2B5', '1e2', '0x10', '9007199254740993', '٣'])(
    '%p',
    (limit) => expectRefusedEverywhere(`limit=${limit}`, '/query/limit'),
  );
  test('repeated, which is what the error says', async () => {
    await expectRefusedEverywhere('limit=1&limit=2', '/query/limit');
    const response = await atlas.call('GET', '/v1/accounts?limit=1&limit=2');
    const { errors } = await expectProblem(atlas, response, 400, 'invalid_request');
    expect(errors).toEqual([{ pointer: '/query/limit', detail: 'is repeated: send it once' }]);
  });
});

test('an unknown parameter is rejected by name', async () => {
  await expectRefusedEverywhere('page=2', '/query/page');
  await expectRefusedEverywhere('__proto__=2', '/query/__proto__');
});

describe('a cursor is rejected if it is', () => {
  test.each([
    ['empty', ''],
    ['a number', '2'],
    ['text', 'the+next+page'],
    ['JSON', '%7B%22v%22%3A1%7D'],
    ['Base64 of JSON', Buffer.from('{"v":1}').toString('base64url')],
    ['an injection', "'%20OR%201=1--"],
    ['very long', 'a'.repeat(5000)],
    ['NUL', '%00'],
    ['bytes that are not UTF-8', '%FF%FE'],
  ])('%s', (_name, cursor) => expectRefusedEverywhere(`cursor=${cursor}`, '/query/cursor'));

  test('repeated', () => expectRefusedEverywhere('cursor=a&cursor=b', '/query/cursor'));

  test('a valid one truncated, extended, or with an invalid character', async () => {
    for (const { path, cursor } of lists) {
      expect((await atlas.call('GET', `${path}?cursor=${cursor}`)).status).toBe(200);
      for (const bad of [
        cursor.slice(0, -1),
        cursor.slice(1),
        `${cursor}0`,
        cursor + cursor,
        `!${cursor.slice(1)}`,
      ]) {
        await expectRefused(path, `cursor=${bad}`, '/query/cursor');
      }
    }
  });

  test('a valid one of another list', async () => {
    await expectRefused(lists[0]!.path, `cursor=${lists[1]!.cursor}`, '/query/cursor');
    await expectRefused(lists[1]!.path, `cursor=${lists[0]!.cursor}`, '/query/cursor');
  });
});

test('a cursor with any digit replaced is rejected or returns a page, but never fails', async () => {
  for (const { path, cursor } of lists) {
    for (const i of [...cursor].keys()) {
      // A few at a time, because all of them together would be shed.
      const responses = await Promise.all(
        ['0', '9', 'f', 'F', 'z'].map((digit) =>
          atlas.call('GET', `${path}?cursor=${cursor.slice(0, i)}${digit}${cursor.slice(i + 1)}`),
        ),
      );
      // 404: a position that does not exist in the event log.
      expect(responses.filter(({ status }) => ![200, 400, 404].includes(status))).toEqual([]);
    }
  }
});
