import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { createCredentials } from '../../../../src/features/identity/credentials.ts';
import { makeToken } from '../../../../src/features/identity/token.ts';
import { principalOf } from '../../../support/principal.ts';

let nowMs = 0;
let clock: ReturnType<typeof spyOn<Performance, 'now'>>;
beforeEach(() => {
  nowMs = 100_000;
  clock = spyOn(performance, 'now').mockImplementation(() => nowMs);
});
afterEach(() => clock.mockRestore());

/** One key in memory. `lookups` counts queries, and `unavailable` makes them fail. */
function keysInMemory() {
  const { token, id, secretHash } = makeToken();
  const state = {
    lookups: 0,
    unavailable: false,
    revoked: false,
    suspended: false,
    used: [] as string[],
    tiers: [] as string[],
  };
  const service = createCredentials({
    live: {
      async find(requested, tier) {
        state.lookups++;
        state.tiers.push(tier);
        if (state.unavailable) throw new Error('unavailable');
        const principal = principalOf('alice', { keyId: id, suspended: state.suspended });
        return requested === id && !state.revoked ? { principal, secretHash } : null;
      },
      onUsed: (used) => void state.used.push(used),
    },
  });
  return { service, state, token, id };
}

describe('a verified key', () => {
  test('is verified synchronously the next time, without a query', async () => {
    const { service, state, token, id } = keysInMemory();
    const expected = principalOf('alice', { keyId: id });
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

  test('is looked up before what others wait for once it was verified, and tokens that may be invented are not', async () => {
    const { service, state, token } = keysInMemory();
    await service.verify(token);
    nowMs += 2001;
    void service.verify(token);
    await new Promise((resolve) => setImmediate(resolve));
    nowMs += 4001;
    await service.verify(token);
    expect(state.tiers).toEqual(['default', 'critical', 'critical']);
    state.tiers = [];
    state.revoked = true;
    for (let lookup = 0; lookup < 3; lookup++) {
      nowMs += 4001;
      await service.verify(token);
    }
    expect(state.tiers).toEqual(['critical', 'default', 'default']);
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

test('a token of a kind that has no store is invalid, without a query', async () => {
  const { service, state } = keysInMemory();
  expect(await service.verify(makeToken('operator').token)).toBeNull();
  expect(state.lookups).toBe(0);
});

test('a use is reported for each lookup that finds the credential, and no other', async () => {
  const { service, state, token, id } = keysInMemory();
  await service.verify(token);
  await service.verify(token);
  await service.verify(makeToken().token);
  expect(state.used).toEqual([id]);
});
