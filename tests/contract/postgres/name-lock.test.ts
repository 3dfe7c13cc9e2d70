import { describe, expect, test } from 'bun:test';
import { lockName } from '../../../src/adapters/postgres/name-lock.ts';
import { availableEngines, freshDatabase, openTestDatabase } from '../../support/database.ts';

describe.each(availableEngines())('the lock of a name on the %s PostgreSQL', (engine) => {
  test('is held until the transaction ends, by one of those with the name, and of its kind only', async () => {
    const db = openTestDatabase(await freshDatabase(engine), { connectionsMax: 3 });
    try {
      const order: string[] = [];
      const isHeld = Promise.withResolvers<void>();
      const release = Promise.withResolvers<void>();
      const first = db.transaction(async (tx) => {
        await lockName(tx, 'kind', 'a', 'b');
        isHeld.resolve();
        await release.promise;
        order.push('first');
      });
      await isHeld.promise;
      const second = db.transaction(async (tx) => {
        await lockName(tx, 'kind', 'a', 'b');
        order.push('second');
      });
      const others = [
        ['other kind', 'a', 'b'] as const,
        ['kind', 'a b'] as const,
        ['kind', 'a', '"b'] as const,
      ];
      for (const [kind, ...name] of others) {
        await db.transaction((tx) => lockName(tx, kind, ...name));
        order.push('other');
      }
      release.resolve();
      await Promise.all([first, second]);
      expect(order).toEqual(['other', 'other', 'other', 'first', 'second']);
    } finally {
      await db.end({ timeout: 5 });
    }
  });
});
