import type { Principal } from '../../../envelope/exchange.ts';
import type { CredentialStore } from '../credentials.ts';
import { isOperatorScope } from '../operator-scope.ts';
import { isReservedId, testSpaceOf } from '../organization-id.ts';
import type { QuotaService } from '../quotas/service.ts';
import { isHash, makeToken } from '../token.ts';
import type { ApiKey, KeyKind } from './domain.ts';
import type { KeyRepository, StoredKey } from './repository.ts';

const KEYS_PER_READ = 1000;

/** The properties of a new key. */
export interface NewKey {
  readonly owner: string;
  readonly kind?: KeyKind;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
}

/** Operations on API keys. */
export interface KeyService {
  /** Creates a key and returns its token, which cannot be retrieved again. Throws if the owner is reserved. */
  create(key: NewKey): Promise<{ id: string; token: string }>;
  /** Returns all keys, oldest first, read in steps. */
  list(): Promise<ApiKey[]>;
  revoke(id: string): Promise<boolean>;
  /** Returns whether there is no key but those of operators. */
  isEmpty(): Promise<boolean>;
  /** Keys as credentials, by the kind of their token. */
  readonly stores: Readonly<Record<KeyKind, CredentialStore>>;
  /** Returns whether the key is currently neither revoked nor expired in the database. For long-lived streams. */
  isUsable(id: string, signal: AbortSignal): Promise<boolean>;
  /** Reads a stored key as requests do. Throws if what it reads is not what was stored. */
  check(signal: AbortSignal): Promise<void>;
  /** Saves which keys were used since the last call. */
  flushLastUsed(): Promise<void>;
}

/** `quotaOf` returns what bounds the requests of a key that was just read. */
export function createKeyService(repository: KeyRepository, quotaOf: QuotaService['ofCaller']): KeyService {
  let used = new Set<string>();

  const storeOf = (kind: KeyKind): CredentialStore => ({
    async find(id, signal) {
      const key = await repository.findUsable(id, signal);
      return key?.kind === kind ? { principal: principalOf(key, quotaOf), secretHash: key.secretHash } : null;
    },
    onUsed: (id) => void used.add(id),
  });

  return {
    async create({ owner, kind = 'live', name, scopes, expiresAt }) {
      if (kind !== 'operator' && isReservedId(owner))
        throw new Error(
          `No key was created.\n  why:  the owner ${owner} is reserved, for test data or operators\n  do:   choose another owner`,
        );
      const { token, id, secretHash } = makeToken(kind);
      await repository.insert({ id, owner, kind, name, scopes, expiresAt, secretHash });
      return { id, token };
    },
    async list() {
      const keys: ApiKey[] = [];
      for (let hasMore = true; hasMore; ) {
        const page = await repository.list(keys.at(-1)?.id ?? null, KEYS_PER_READ);
        keys.push(...page.keys);
        ({ hasMore } = page);
      }
      return keys;
    },
    revoke: (id) => repository.revoke(id),
    isEmpty: () => repository.isEmpty(),
    stores: { live: storeOf('live'), test: storeOf('test'), operator: storeOf('operator') },
    isUsable: async (id, signal) => {
      const key = await repository.findUsable(id, signal);
      return key !== null && !key.suspended;
    },
    async check(signal) {
      const key = await repository.findAny(signal);
      if (key !== null && !(isHash(key.secretHash) && Number.isFinite(key.createdAt.getTime())))
        throw new Error(
          'The session of PostgreSQL returns bytes or times in another format than it was set to.',
        );
    },
    async flushLastUsed() {
      if (used.size === 0) return;
      const ids = [...used];
      used = new Set();
      await repository.touch(ids);
    },
  };
}

function principalOf(key: StoredKey, quotaOf: QuotaService['ofCaller']): Principal {
  const { id, owner: organization, kind, suspended } = key;
  const isOperator = kind === 'operator';
  const scopes = key.scopes.filter((scope) => isOperatorScope(scope) === isOperator);
  // Operators set the quotas, so theirs must never be used up.
  if (isOperator)
    return { owner: '', organization: '', kind: 'operator', keyId: id, scopes, suspended, quota: null };
  const owner = kind === 'test' ? testSpaceOf(organization) : organization;
  return { owner, organization, kind: 'key', keyId: id, scopes, suspended, quota: quotaOf(id, owner, key) };
}
