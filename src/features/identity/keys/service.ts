import type { Principal } from '../../../envelope/exchange.ts';
import { AtlasError } from '../../../errors.ts';
import { isHash, isSecret, makeToken, parseToken } from '../token.ts';
import type { ApiKey } from './domain.ts';
import type { KeyRepository } from './repository.ts';

// A revoked key stops working within 5 s: entries are refreshed after 2 s and never used after 4 s.
const REFRESH_MS = 2000;
const EXPIRE_MS = 4000;
const CACHE_ENTRIES_MAX = 10_000;
const KEYS_PER_READ = 1000;

/** The properties of a new key. */
export interface NewKey {
  readonly owner: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
}

/** Operations on API keys. */
export interface KeyService {
  /** Creates a key and returns its token, which is not stored and cannot be retrieved again. */
  create(key: NewKey): Promise<{ id: string; token: string }>;
  /** Returns all keys, oldest first, read in steps. */
  list(): Promise<ApiKey[]>;
  revoke(id: string): Promise<boolean>;
  isEmpty(): Promise<boolean>;
  /** Returns the principal of the token, or null. Synchronous for a token that was verified in the last seconds. */
  verify(token: string, nowMs?: number): Principal | null | Promise<Principal | null>;
  /** Returns the principal of a token that was verified in the last seconds, or null. For logs: it grants nothing. */
  peek(token: string): Principal | null;
  /** Returns whether the key is currently neither revoked nor expired in the database. For long-lived streams. */
  isUsable(id: string, signal: AbortSignal): Promise<boolean>;
  /** Reads a stored key as {@link verify} does. Throws if what it reads is not what was stored. */
  check(signal: AbortSignal): Promise<void>;
  /** Saves which keys were used since the last call. */
  flushLastUsed(): Promise<void>;
}

interface Entry {
  readonly principal: Principal | null;
  readonly checkedMs: number;
  refreshing: boolean;
}

function remember(entries: Map<string, Entry>, token: string, entry: Entry): void {
  if (entries.size >= CACHE_ENTRIES_MAX) entries.delete(entries.keys().next().value!);
  entries.set(token, entry);
}

export function createKeyService(repository: KeyRepository): KeyService {
  const cache = new Map<string, Entry>();
  // Separate from valid tokens, so that invented ones cannot evict those.
  const refused = new Map<string, Entry>();
  const pending = new Map<string, Promise<Principal | null>>();
  let used = new Set<string>();

  /** Looks the token up in the database, with one query at a time per token. */
  function lookUp(token: string): Promise<Principal | null> {
    const running = pending.get(token);
    if (running) return running;
    const checkedMs = performance.now();
    const lookup = fetchPrincipal(token)
      .then((principal) => {
        // The key may have been revoked during a lookup that took this long.
        if (performance.now() - checkedMs > EXPIRE_MS) {
          throw new AtlasError('dependency_unavailable', 'PostgreSQL took too long to verify the key.', {
            retryAfterSeconds: 1,
          });
        }
        cache.delete(token);
        refused.delete(token);
        remember(principal === null ? refused : cache, token, { principal, checkedMs, refreshing: false });
        return principal;
      })
      .finally(() => pending.delete(token));
    pending.set(token, lookup);
    return lookup;
  }

  async function fetchPrincipal(token: string): Promise<Principal | null> {
    const parts = parseToken(token);
    if (parts === null) return null;
    const key = await repository.findUsable(parts.id);
    if (key === null || !isSecret(parts.secret, key.secretHash)) return null;
    used.add(key.id);
    return { owner: key.owner, keyId: key.id, scopes: key.scopes };
  }

  return {
    async create({ owner, name, scopes, expiresAt }) {
      const { token, id, secretHash } = makeToken();
      await repository.insert({ id, owner, name, scopes, expiresAt, secretHash });
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
    verify(token, nowMs = performance.now()) {
      const entry = cache.get(token) ?? refused.get(token);
      if (entry === undefined) return parseToken(token) === null ? null : lookUp(token);
      const ageMs = nowMs - entry.checkedMs;
      if (ageMs > EXPIRE_MS) return lookUp(token);
      if (ageMs > REFRESH_MS && !entry.refreshing) {
        entry.refreshing = true;
        // If this fails the entry expires, and a later request reports the failure.
        lookUp(token).catch(() => {});
      }
      return entry.principal;
    },
    peek: (token) => cache.get(token)?.principal ?? null,
    isUsable: async (id, signal) => (await repository.findUsable(id, signal)) !== null,
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
