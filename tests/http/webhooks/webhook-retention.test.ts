import { afterAll, beforeAll, expect, test } from 'bun:test';
import { START_TIMEOUT_MS } from '../../support/test-app.ts';
import { createWebhook, type SendingAtlas, startSendingAtlas } from '../../support/webhook-steps.ts';

const DAYS = 10;
let sending: SendingAtlas;
beforeAll(async () => {
  sending = await startSendingAtlas({ WEBHOOKS_RETENTION_DAYS: `${DAYS}` });
}, START_TIMEOUT_MS);
afterAll(() => sending.close());

test('deliveries are stored for the days of the setting', async () => {
  const { atlas } = sending;
  const { id } = await createWebhook(atlas, { url: sending.receive().url });
  const ids: string[] = [];
  for (const age of [DAYS + 1, DAYS - 1]) {
    const response = await atlas.call('POST', `/v1/webhooks/${id}/test`);
    const delivery = (await response.json()) as { id: string };
    ids.push(delivery.id);
    await atlas.sql`UPDATE webhook_deliveries SET created_at = now() - make_interval(days => ${age})
                    WHERE id = ${delivery.id}`;
  }
  await atlas.jobs.find(({ name }) => name === 'delete old webhook deliveries')!.run();
  const listed = (await (await atlas.call('GET', `/v1/webhooks/${id}/deliveries`)).json()) as {
    deliveries: { id: string }[];
  };
  expect(listed.deliveries.map((delivery) => delivery.id)).toEqual(ids.slice(1));
});
