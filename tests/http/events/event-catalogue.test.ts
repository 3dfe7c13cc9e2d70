import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import Ajv, { type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { asyncApiDocument } from '../../../src/features/events/log/asyncapi.ts';
import { loggedTypes } from '../../../src/features/events/log/catalogue.ts';
import { EVENT_CATALOGUE } from '../../../src/features.ts';
import { AMOUNT_MINOR_MAX } from '../../../src/utils/money.ts';
import { readReleased } from '../../contract/events/event-schemas/released.ts';
import { followEvents, listEvents, relayAll } from '../../support/event-steps.ts';
import { newKey, openAccount, postBatch, postTransfer } from '../../support/ledger-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

const ODD = 'a\u0001b\u2028c "quoted" \\ 😀 \ud7ff';
const metadata = { [`key ${ODD}`.slice(0, 40)]: ODD, empty: '' };
const ajv = new Ajv({ strict: false });
addFormats(ajv);
const payloads = new Map<string, ValidateFunction>();
let atlas: TestApp;

/** Triggers every type of event, with the most unusual input that the API accepts. */
async function makeEverythingHappen(): Promise<void> {
  const bank = await openAccount(atlas, { id: 'FFFFFFFF-0000-0000-0000-00000000000F', name: ODD, metadata });
  const alice = await openAccount(atlas, { allowNegative: false, kind: 'expense' });
  const order = { debitAccountId: bank.id, creditAccountId: alice.id, amount: AMOUNT_MINOR_MAX - 10 };
  expect((await postTransfer(atlas, { ...order, reference: ODD, metadata })).status).toBe(201);
  const transfers = Array.from({ length: 5 }, () => ({ ...order, amount: 1 }));
  expect((await postBatch(atlas, { transfers, atomic: true }, newKey())).status).toBe(200);
  await storeAndDeleteFile();
  await disableWebhook();
  await relayAll(atlas);
}

async function storeAndDeleteFile(): Promise<void> {
  const stored = await atlas.call('POST', `/v1/files?name=${encodeURIComponent('naïve 😀.txt')}`, {
    body: 'some text',
    headers: { 'Content-Type': 'text/plain' },
  });
  expect(stored.status).toBe(201);
  const { id } = (await stored.json()) as { id: string };
  expect((await atlas.call('DELETE', `/v1/files/${id}`)).status).toBe(204);
}

/** Disables a webhook as a delivery does whose target responds 410. */
async function disableWebhook(): Promise<void> {
  const { sql } = atlas;
  const id = crypto.randomUUID();
  const url = 'https://example.com/hook';
  await sql`INSERT INTO webhooks (id, owner, url, secret) VALUES (${id}, 'owner', ${url}, ${Buffer.alloc(32)})`;
  const delivery = crypto.randomUUID();
  await sql`
    INSERT INTO webhook_deliveries (id, webhook_id, event_id, event_type, body, attempts, tries, leased_until)
    VALUES (${delivery}, ${id}, 'event', 'account.opened.v1', '{}', 1, 1, now() + interval '1 minute')`;
  const [row] = await sql`
    SELECT settle_webhook_delivery(${delivery}, ${id}, ${url}, 1, 1, 'failed', 0, 410, 'gone', 5, true, 5, 36) AS ended`;
  expect(row!.ended).toBe(true);
}

beforeAll(async () => {
  const document = asyncApiDocument('0.0.0', EVENT_CATALOGUE) as {
    components: { messages: Record<string, { payload: object }> };
  };
  for (const [type, { payload }] of Object.entries(document.components.messages))
    payloads.set(type, ajv.compile(payload));
  atlas = await startTestApp();
  await makeEverythingHappen();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

describe('every event that Atlas writes', () => {
  test('has a type of the catalogue, and every type of the log was written', async () => {
    const { events } = await listEvents(atlas, '?limit=200');
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(loggedTypes(EVENT_CATALOGUE)));
  });

  test('matches the catalogue without an extra member, its released schema, and the AsyncAPI document', async () => {
    const { events } = await listEvents(atlas, '?limit=200');
    for (const { position: _, ...event } of events) {
      const { type } = event;
      expect(EVENT_CATALOGUE[type]!.data.parse(event.data)).toEqual(event.data as never);
      const fitsReleased = ajv.compile(readReleased(type));
      expect({ type, fits: fitsReleased(event.data), errors: fitsReleased.errors }).toMatchObject({
        fits: true,
      });
      const fits = payloads.get(type)!;
      expect({ type, fits: fits(event), errors: fits.errors }).toMatchObject({ fits: true });
      // The document must reject an event of another type.
      expect(fits({ ...event, type: 'account.closed.v1' })).toBe(false);
    }
  });

  test('is the same in a stream as in a list', async () => {
    const { events } = await listEvents(atlas, '?limit=200');
    const reader = await followEvents(atlas, '?from=beginning');
    const followed = await reader.events(events.length);
    await reader.leave();
    expect(followed).toEqual(events.map(({ position: _, ...event }) => event));
  });
});
