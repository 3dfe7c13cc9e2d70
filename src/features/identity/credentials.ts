import type { Principal } from '../../envelope/exchange.ts';
import { AtlasError } from '../../errors.ts';
import type { Tier } from '../../utils/tier.ts';
import { isSecret, parseToken, type TokenKind } from './token.ts';

// Whatever is revoked, suspended or changed is so within 5 s: entries are refreshed after 2 s and never used after 4 s.
const REFRESH_MS = 2000;
const EXPIRE_MS = 4000;
const CACHE_ENTRIES_MAX = 10_000;

/** A stored credential that may be used now, with the hash of its secret. */
export interface StoredCredential {
  readonly principal: Principal;
  readonly secretHash: Uint8Array;
}

/** Where the credentials of a kind are stored. */
export interface CredentialStore {
  /** Returns the credential with this public ID, or null if there is none that may be used. */
  find(id: string, tier: Tier): Promise<StoredCredential | null>;
  /** Called for each credential that was verified, at most once in a few seconds. */
  onUsed(id: string): void;
}

/** Verifies the tokens that callers send. */
export interface Credentials {
  /** Returns the principal of the token, or null. Synchronous for a token that was verified in the last seconds. */
  verify(token: string, nowMs?: number): Principal | null | Promise<Principal | null>;
  /** Returns the principal of a token that was verified in the last seconds, or null. For logs: it grants nothing. */
  peek(token: string): Principal | null;
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

/** Creates a cache of verified tokens over the stores of their kinds. Tokens of a kind without a store are invalid. */
export function createCredentials(
  stores: Readonly<Partial<Record<TokenKind, CredentialStore>>>,
): Credentials {
  const cache = new Map<string, Entry>();
  // Separate from valid tokens, so that invented ones cannot evict those.
  const refused = new Map<string, Entry>();
  const pending = new Map<string, Promise<Principal | null>>();

  /** Looks the token up in the database, with one query at a time per token. */
  function lookUp(token: string, tier: Tier): Promise<Principal | null> {
    const running = pending.get(token);
    if (running) return running;
    const checkedMs = performance.now();
    const lookup = fetchPrincipal(token, tier)
      .then((principal) => {
        // The credential may have been revoked during a lookup that took this long.
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

  async function fetchPrincipal(token: string, tier: Tier): Promise<Principal | null> {
    const parts = parseToken(token);
    const store = parts === null ? undefined : stores[parts.kind];
    if (parts === null || store === undefined) return null;
    const found = await store.find(parts.id, tier);
    if (found === null || !isSecret(parts, found.secretHash)) return null;
    store.onUsed(parts.id);
    return found.principal;
  }

  return {
    verify(token, nowMs = performance.now()) {
      const entry = cache.get(token) ?? refused.get(token);
      if (entry === undefined) return parseToken(token) === null ? null : lookUp(token, 'default');
      // A payment must not wait behind the lists that others read. Tokens that may be invented must.
      const tier = entry.principal === null ? 'default' : 'critical';
      const ageMs = nowMs - entry.checkedMs;
      if (ageMs > EXPIRE_MS) return lookUp(token, tier);
      if (ageMs > REFRESH_MS && !entry.refreshing) {
        entry.refreshing = true;
        // If this fails the entry expires, and a later request reports the failure.
        lookUp(token, tier).catch(() => {});
      }
      return entry.principal;
    },
    peek: (token) => cache.get(token)?.principal ?? null,
  };
}
