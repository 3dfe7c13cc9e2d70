import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import type { KeyRepository } from '../../../../../src/features/identity/keys/repository.ts';
import { createKeyService } from '../../../../../src/features/identity/keys/service.ts';
import { makeToken } from '../../../../../src/features/identity/token.ts';

let nowMs = 0;
let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
beforeEach(() => {
  nowMs = 100_000;
  clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => clock.mockRestore());

/** Keys in memory. `lookups` counts queries, and `unavailable` makes them fail. */
function keysInMemory() {
  const { token, id, secretHash } = makeToken();
  const state = {
    lookups: 0,
    unavailable: false,
    revoked: false,
    touched: [] as (readonly string[])[],
    stored: {},
  };
  const key = { id, secretHash, owner: 'alice', name: 'test', scopes: ['ping:read'] };
  const dates = { createdAt: new Date(0), expiresAt: null, revokedAt: null, lastUsedAt: null };
  const repository: KeyRepository = {
    insert: async () => {},
    findUsable: async (requested) => {
      state.lookups++;
      if (state.unavailable) throw new Error('unavailable');
      return requested === id && !state.revoked ? { ...key, ...dates } : null;
    },
    findAny: async () => ({ ...key, ...dates, ...state.stored }),
    list: async () => ({ keys: [], hasMore: false }),
    revoke: async () => true,
    isEmpty: async () => false,
    touch: async (ids) => void state.touched.push(ids),
  };
  return { service: createKeyService(repository), state, token, id };
}

describe('the check of stored keys', () => {
  test('passes for a key as it was stored, and fails for bytes or times in another format', async () => {
    const { service, state } = keysInMemory();
    const { signal } = new AbortController();
    await service.check(signal);
    for (const stored of [{ secretHash: Buffer.from('1') }, { createdAt: new Date(Number.NaN) }]) {
      state.stored = stored;
      await expect(service.check(signal)).rejects.toThrow('in another format');
    }
  });
});

describe('a verified key', () => {
  test('is verified synchronously the next time, without a query', async () => {
    const { service, state, token, id } = keysInMemory();
    const expected = { owner: 'alice', keyId: id, scopes: ['ping:read'] };
    expect(await service.verify(token)).toEqual(expected);
    expect(service.verify(token)).toEqual(expected);
    expect(state.lookups).toBe(1);
  });

  test('is looked up once for concurrent requests', async () => {
    const { service, state, token } = keysInMemory();
    const found = await Promise.all(Array.from({ length: 50 }, () => service.verify(token)));
    expect(new Set(found).size).toBe(1);
    expect(state.lookups).toBe(1);
  });

  test('is refreshed in the background while in use', async () => {
    const { service, state, token } = keysInMemory();
    await service.verify(token);
    nowMs += 2001;
    expect(service.verify(token)).toMatchObject({ owner: 'alice' });
    expect(service.verify(token)).toMatchObject({ owner: 'alice' });
    expect(state.lookups).toBe(2);
  });

  test('stops working within 5 s of being revoked, whether in constant use or not', async () => {
    const { service, state, token } = keysInMemory();
    await service.verify(token);
    state.revoked = true;
    nowMs += 4001;
    expect(await service.verify(token)).toBeNull();
    const other = keysInMemory();
    await other.service.verify(other.token);
    other.state.revoked = true;
    const diedAfter = await Array.from({ length: 50 }).reduce<Promise<number>>(async (before, _, i) => {
      const died = await before;
      nowMs += 100;
      return died === 0 && (await other.service.verify(other.token)) === null ? (i + 1) * 100 : died;
    }, Promise.resolve(0));
    expect(diedAfter).toBeWithin(1, 5000);
  });

  test('survives a short outage of the database, but not a long one', async () => {
    const { service, state, token } = keysInMemory();
    await service.verify(token);
    state.unavailable = true;
    nowMs += 3000;
    expect(service.verify(token)).toMatchObject({ owner: 'alice' });
    nowMs += 1001;
    await expect(Promise.resolve(service.verify(token))).rejects.toThrow('unavailable');
    state.unavailable = false;
    expect(await service.verify(token)).toMatchObject({ owner: 'alice' });
  });
});

describe('an invalid key', () => {
  test('is rejected without a query if its checksum is wrong', () => {
    const { service, state, token } = keysInMemory();
    expect(service.verify(`${token.slice(0, -1)}!`)).toBeNull();
    expect(service.verify('invalid')).toBeNull();
    expect(state.lookups).toBe(0);
  });

  test('is rejected if its secret is wrong, and looked up only once in a while', async () => {
    const { service, state } = keysInMemory();
    const stranger = makeToken().token;
    expect(await service.verify(stranger)).toBeNull();
    expect(service.verify(stranger)).toBeNull();
    expect(state.lookups).toBe(1);
  });
});

describe('the last use', () => {
  test('is saved once for each used key, and not again without use', async () => {
    const { service, state, token, id } = keysInMemory();
    await service.flushLastUsed();
    expect(state.touched).toEqual([]);
    await service.verify(token);
    await service.flushLastUsed();
    await service.flushLastUsed();
    expect(state.touched).toEqual([[id]]);
  });
});
