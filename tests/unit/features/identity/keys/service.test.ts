import { describe, expect, test } from 'bun:test';
import type { KeyKind } from '../../../../../src/features/identity/keys/domain.ts';
import type { KeyRepository } from '../../../../../src/features/identity/keys/repository.ts';
import { createKeyService } from '../../../../../src/features/identity/keys/service.ts';
import { isSecret, makeToken, parseToken } from '../../../../../src/features/identity/token.ts';

/** A key of alice in memory. */
function keysInMemory() {
  const { token, id, secretHash } = makeToken();
  const state = {
    touched: [] as (readonly string[])[],
    stored: {},
  };
  const key = {
    id,
    secretHash,
    owner: 'alice',
    name: 'test',
    kind: 'live' as KeyKind,
    scopes: ['ping:read'],
    suspended: false,
    keyQuota: null,
    organizationQuota: null,
    createdBy: null,
    replacedBy: null,
  };
  const dates = { createdAt: new Date(0), expiresAt: null, revokedAt: null, lastUsedAt: null };
  const repository = {
    findUsable: async (requested) => (requested === id ? { ...key, ...dates, ...state.stored } : null),
    findAny: async () => ({ ...key, ...dates, ...state.stored }),
    touch: async (ids) => void state.touched.push(ids),
    insert: async () => ({ ...key, ...dates }),
    record: async () => {},
    doesOrganizationExist: async () => true,
    testSpaceState: async () => 'available',
    // None of these uses the transaction.
    transaction: (work) => work({ query: () => Promise.reject(new Error('no query')) }),
  } satisfies Partial<KeyRepository> as Partial<KeyRepository> as KeyRepository;
  const ending = { standing: { lock: async () => {} }, withdrawInvitations: async () => {} };
  return { service: createKeyService(repository, () => null, ending), state, token, id };
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

test('a key cannot have an owner that stands for test data of others, or for operators', async () => {
  const { service } = keysInMemory();
  const create = (owner: string, kind: KeyKind) =>
    service.create({ owner, kind, name: 'test', scopes: [], expiresAt: null });
  for (const owner of ['alice~test', '~operators'])
    for (const kind of ['live', 'test'] as const)
      await expect(create(owner, kind)).rejects.toThrow(`the owner ${owner} is reserved`);
  await create('~operators', 'operator');
  await create('alice~testing', 'test');
});

describe('the last use', () => {
  test('is saved once for each used key, and not again without use', async () => {
    const { service, state, token, id } = keysInMemory();
    await service.flushLastUsed();
    expect(state.touched).toEqual([]);
    const found = await service.stores.live.find(id, 'default');
    service.stores.live.onUsed(id);
    expect(isSecret(parseToken(token)!, found!.secretHash)).toBe(true);
    await service.flushLastUsed();
    await service.flushLastUsed();
    expect(state.touched).toEqual([[id]]);
  });
});

describe('a key as a credential', () => {
  test.each([
    ['live', { owner: 'alice', organization: 'alice', kind: 'key' }],
    ['test', { owner: 'alice~test', organization: 'alice', kind: 'key' }],
    ['operator', { owner: '', organization: '', kind: 'operator', scopes: ['operator:read'] }],
  ] as const)(
    'of the kind %s acts for its owner, and is found by tokens of its kind only',
    async (kind, expected) => {
      const { service, state, id } = keysInMemory();
      state.stored = { kind, suspended: true, scopes: ['ping:read', 'operator:read', 'me:read'] };
      const found = await service.stores[kind].find(id, 'default');
      expect(found!.principal).toEqual({
        scopes: ['ping:read'],
        ...expected,
        keyId: id,
        userId: null,
        suspended: true,
        quota: null,
      });
      for (const other of ['live', 'test', 'operator'] as const)
        if (other !== kind) expect(await service.stores[other].find(id, 'default')).toBeNull();
    },
  );

  test('is not usable for a stream while its organization is suspended', async () => {
    const { service, state, id } = keysInMemory();
    const { signal } = new AbortController();
    expect(await service.isUsable(id, signal)).toBe(true);
    state.stored = { suspended: true };
    expect(await service.isUsable(id, signal)).toBe(false);
    expect(await service.isUsable('another', signal)).toBe(false);
  });
});
