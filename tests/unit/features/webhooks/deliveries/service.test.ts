import { expect, test } from 'bun:test';
import type { Idempotency } from '../../../../../src/features/idempotency.ts';
import type { Replayed } from '../../../../../src/features/webhooks/deliveries/domain.ts';
import type { DeliveryRepository } from '../../../../../src/features/webhooks/deliveries/repository.ts';
import {
  createDeliveryService,
  type LastExpired,
  type ReplayStart,
} from '../../../../../src/features/webhooks/deliveries/service.ts';
import type { Webhook } from '../../../../../src/features/webhooks/subscriptions/domain.ts';

const NOON = '2026-01-31T12:00:00.000Z';

/** Replays events after the 10th, of which the retention deletes those up to `position` before they are read. */
function replay(start: ReplayStart, position: number, onSent = () => {}): Promise<Replayed> {
  let expired: Awaited<ReturnType<LastExpired>> = null;
  const repository = {
    scanSince: async () => ({ first: 11, last: 20, scanned: 20, since: 10 }),
    async readToReplay() {
      expired = { position, occurredAt: new Date(NOON) };
      return { deliveries: [], nextPosition: null };
    },
    async replayEvents() {
      onSent();
      return 5;
    },
  };
  const webhooks = { find: async () => ({ eventTypes: null }) as Webhook };
  const service = createDeliveryService(
    repository as unknown as DeliveryRepository,
    webhooks,
    async () => expired,
    {} as Idempotency,
  );
  return service.replayEvents('owner', crypto.randomUUID(), start, false);
}

test.each<ReplayStart>([{ afterPosition: 10 }, { since: NOON }])(
  'a replay from %p is refused if events expire before it has read them, and sends nothing',
  async (start) => {
    let sent = 0;
    const onSent = () => {
      sent++;
    };
    await expect(replay(start, 12, onSent)).rejects.toMatchObject({ code: 'events_expired' });
    expect(sent).toBe(0);
    expect(await replay(start, 10, onSent)).toMatchObject({ deliveries: 5 });
    expect(sent).toBe(1);
  },
);

test('a replay of all events that are stored is not refused if events expire meanwhile', async () => {
  expect(await replay({ afterPosition: 0 }, 12)).toMatchObject({ deliveries: 5 });
});
