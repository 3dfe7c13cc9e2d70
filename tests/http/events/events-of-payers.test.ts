import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { ApiCaller } from '../../support/api-caller.ts';
import { type AccountResource, openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { createWebhook, type SendingAtlas, startSendingAtlas } from '../../support/webhook-steps.ts';

const METADATA = { secret: 'of the payer' };

interface CreditedEvent {
  readonly type: string;
  readonly subject: string;
  readonly data: { readonly metadata: object; readonly counterpartyAccountId: string };
}

let sending: SendingAtlas;
let [acme, umbrella]: ApiCaller[] = [];
let [payer, payee, third]: AccountResource[] = [];
beforeAll(async () => {
  sending = await startSendingAtlas();
  [acme, umbrella] = [await sending.atlas.as('acme'), await sending.atlas.as('umbrella')];
  payer = await openAccount(acme);
  [payee, third] = [await openAccount(umbrella, { acceptsFrom: ['acme'] }), await openAccount(umbrella)];
}, START_TIMEOUT_MS);
afterAll(async () => {
  await sending.reset();
  await sending.close();
});

/** Posts to the payee: as another organization, and as its own. */
async function pay(): Promise<void> {
  const order = { creditAccountId: payee!.id, amount: 7, metadata: METADATA };
  expect((await postTransfer(acme!, { ...order, debitAccountId: payer!.id })).status).toBe(201);
  expect((await postTransfer(umbrella!, { ...order, debitAccountId: third!.id })).status).toBe(201);
}

const creditsOf = (events: readonly CreditedEvent[]) =>
  events
    .filter(({ type, subject }) => type === 'account.credited.v1' && subject === payee!.id)
    .map(({ data }) => [data.counterpartyAccountId, data.metadata]);

test('a payee sees no metadata of payers of other organizations: in events, streams, webhooks and replays', async () => {
  const receiver = sending.receive();
  const webhook = await createWebhook(umbrella!, { url: receiver.url });
  await pay();
  await sending.fannedOut();
  const expected = [
    [payer!.id, {}],
    [third!.id, METADATA],
  ];
  const list = async (caller: ApiCaller, key: string) => {
    const response = await caller.call('GET', `/v1/events?key=${key}`);
    return ((await response.json()) as { events: (CreditedEvent & { id: string; position: string })[] })
      .events;
  };
  const events = await list(umbrella!, payee!.id);
  expect(creditsOf(events)).toEqual(expected);
  const stream = await umbrella!.call('GET', '/v1/events/stream?from=beginning');
  expect(stream.status).toBe(200);
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  await until(async () => {
    text += (await reader.read()).value ?? '';
    return text.split('"type":"account.credited.v1"').length > 2;
  });
  await reader.cancel();
  // That of its own debit and credit, and not that of the other organization.
  expect(text.split('of the payer')).toHaveLength(3);

  const received = () => receiver.received.map(({ body }) => JSON.parse(body) as CreditedEvent);
  await until(() => creditsOf(received()).length === 2);
  expect(creditsOf(received())).toEqual(expected);
  const replay = await umbrella!.call('POST', `/v1/webhooks/${webhook.id}/replay`, {
    json: { afterPosition: '0', includeDelivered: true },
  });
  expect(replay.status).toBe(202);
  await sending.hurry();
  await until(() => creditsOf(received()).length === 4);
  expect(creditsOf(received()).slice(2).sort()).toEqual(expected.sort());
});

test('the events of a payer and of a payee are reached by nobody else', async () => {
  const path = (id: string) => `/v1/events/${id}:1`;
  const none = `/v1/events/${crypto.randomUUID()}:1`;
  expect((await umbrella!.call('GET', path(payee!.id))).status).toBe(200);
  for (const [caller, id] of [
    [acme!, payee!.id],
    [umbrella!, payer!.id],
  ] as const)
    expect((await caller.call('GET', path(id))).status).toBe((await caller.call('GET', none)).status);
});
