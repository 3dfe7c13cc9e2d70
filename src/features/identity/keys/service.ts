import type { Principal } from '../../../envelope/exchange.ts';
import { AtlasError } from '../../../errors.ts';
import { type ApiKey, isSecret, makeToken, parseToken } from './domain.ts';
import type { KeyRepository } from './repository.ts';

// A revoked key is dead within 5 s: entries are asked for again after 2 s of use and never used after 4.
const REFRESH_MS = 2000;
const EXPIRE_MS = 4000;
const CACHE_ENTRIES_MAX = 10_000;
const LIST_LIMIT = 1000;

/** What a key is made from. */
export interface NewKey {
  readonly owner: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
}

/** The verbs of API keys. */
export interface KeyService {
  /** Makes a key and answers its token, which is told this once and stored nowhere. */
  create(key: NewKey): Promise<{ id: string; token: string }>;
  list(): Promise<ApiKey[]>;
  revoke(id: string): Promise<boolean>;
  isEmpty(): Promise<boolean>;
  /** Who holds the token, or null. Answers at once for a token that was verified in the last seconds. */
  verify(token: string): Principal | null | Promise<Principal | null>;
  /** Whether the key is neither revoked nor expired, as the database says now. For what lasts longer than a request. */
  isUsable(id: string, signal: AbortSignal): Promise<boolean>;
  /** Writes down which keys were used since the last time. */
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
  // Apart from the keys that are good, so that made-up ones cannot push those out.
  const refused = new Map<string, Entry>();
  const pending = new Map<string, Promise<Principal | null>>();
  let used = new Set<string>();

  /** Asks the database, once at a time for each token however many wait. */
  function lookUp(token: string): Promise<Principal | null> {
    const running = pending.get(token);
    if (running) return running;
    const checkedMs = performance.now();
    const asked = ask(token)
      .then((principal) => {
        // What the database said so long ago may be about a key that was revoked since.
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
    pending.set(token, asked);
    return asked;
  }

  async function ask(token: string): Promise<Principal | null> {
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
    list: () => repository.list(LIST_LIMIT),
    revoke: (id) => repository.revoke(id),
    isEmpty: () => repository.isEmpty(),
    verify(token) {
      const entry = cache.get(token) ?? refused.get(token);
      if (entry === undefined) return parseToken(token) === null ? null : lookUp(token);
      const ageMs = performance.now() - entry.checkedMs;
      if (ageMs > EXPIRE_MS) return lookUp(token);
      if (ageMs > REFRESH_MS && !entry.refreshing) {
        entry.refreshing = true;
        // When it fails the entry simply expires, and the next request hears of the failure.
        lookUp(token).catch(() => {});
      }
      return entry.principal;
    },
    isUsable: async (id, signal) => (await repository.findUsable(id, signal)) !== null,
    async flushLastUsed() {
      if (used.size === 0) return;
      const ids = [...used];
      used = new Set();
      await repository.touch(ids);
    },
  };
}
