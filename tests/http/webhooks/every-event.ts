import { expect } from 'bun:test';
import type { TestApp } from '../../support/test-app.ts';

/** Triggers every type of event of webhooks: disables one, like a delivery whose target responds 410. */
export async function triggerEveryEvent({ sql }: TestApp): Promise<void> {
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
