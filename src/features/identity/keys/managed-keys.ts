import { AtlasError } from '../../../errors.ts';
import {
  callerIdOf,
  type Done,
  type Idempotency,
  inTransaction,
  type RequestIdentity,
} from '../../idempotency.ts';
import { testSpaceOf } from '../organization-id.ts';
import type { Standing } from '../standing/service.ts';
import {
  type ApiKey,
  ENDED_DAYS,
  ENDED_KEYS_MAX,
  type KeyCaller,
  type KeyKind,
  stateOf,
  USABLE_KEYS_MAX,
} from './domain.ts';
import {
  expiryOf,
  type IssuedKey,
  issueKey,
  type KeyEnding,
  keyNotFound,
  revokeKey,
  rotateKey,
} from './issue-key.ts';
import type { KeyPosition, KeyRepository, KeysOf, Tx } from './repository.ts';

/** What a caller sends to create a key. */
export interface KeyContent {
  readonly kind: 'live' | 'test';
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresInSeconds: number | null;
}

/** A key as it is returned. */
export type KeyResource = ReturnType<typeof toResource>;
/** A new key as it is returned, once. */
export type NewKeyResource = KeyResource & { readonly token: string };

/**
 * API keys as the keys of their organization see and change them. A test key reaches test keys only. Everything throws
 * `AtlasError`.
 */
export interface ManagedKeys {
  create(
    caller: KeyCaller,
    content: KeyContent,
    idempotencyKey: string | undefined,
    signal?: AbortSignal,
  ): Promise<Done<NewKeyResource>>;
  /** Replaces a key. The old one stays valid for the overlap. */
  rotate(
    caller: KeyCaller,
    id: string,
    overlapSeconds: number,
    idempotencyKey: string | undefined,
    signal?: AbortSignal,
  ): Promise<Done<NewKeyResource & { readonly replaces: KeyResource }>>;
  find(caller: KeyCaller, id: string, signal?: AbortSignal): Promise<KeyResource>;
  list(
    caller: KeyCaller,
    after: KeyPosition | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ keys: KeyResource[]; next: KeyPosition | null }>;
  /** Revokes a key, with the open invitations that it sent, or returns it as it is if it was revoked before. */
  revoke(caller: KeyCaller, id: string, signal?: AbortSignal): Promise<KeyResource>;
  /** Changes since the start of this process. */
  readonly stats: Readonly<Record<'created' | 'rotated' | 'revoked', number>>;
}

export function createManagedKeys(
  repository: KeyRepository,
  idempotency: Idempotency,
  standing: Standing,
  withdrawInvitations: KeyEnding['withdrawInvitations'],
): ManagedKeys {
  const stats = { created: 0, rotated: 0, revoked: 0 };

  const lock = createLock(repository, standing);

  /** Counts each kind by itself: with a test key, nobody can prevent that a live key is replaced. */
  async function requireRoom(tx: Tx, organization: string, kind: KeyKind): Promise<void> {
    if (await repository.isFull(tx, organization, kind))
      throw new AtlasError(
        'too_many_api_keys',
        `There are ${USABLE_KEYS_MAX} usable ${kind} keys, or ${ENDED_KEYS_MAX} that ended within ${ENDED_DAYS} days.`,
      );
  }

  const find = async (caller: KeyCaller, id: string, signal?: AbortSignal) => {
    const key = await repository.find(reachableBy(caller), id, { signal });
    if (key === null) throw keyNotFound(id);
    return key;
  };

  return {
    stats,
    async create(caller, content, idempotencyKey, signal) {
      const { kind, name, scopes, expiresInSeconds } = content;
      const { organization, keyId } = caller;
      requireHeld(caller.scopes, scopes);
      if (caller.kind === 'test' && kind !== 'test')
        throw new AtlasError('scopes_exceeded', 'A test key can create test keys only.');
      const created = await idempotency.run(
        { ...identityOf(caller), key: idempotencyKey, content: ['createApiKey', content] },
        inTransaction(repository.transaction, signal, async (tx) => {
          const { held, endsAt } = await lock(tx, caller);
          requireHeld(held, scopes);
          await requireRoom(tx, organization, kind);
          const lifetimeMs = expiresInSeconds === null ? null : expiresInSeconds * 1000;
          const expiresAt = expiryOf(lifetimeMs, endsAt);
          const properties = { owner: organization, kind, name, scopes, expiresAt, createdBy: keyId };
          return withToken(await issueKey(repository, tx, caller.actor, properties));
        }),
        signal,
      );
      if (!created.replayed) stats.created++;
      return created;
    },
    async rotate(caller, id, overlapSeconds, idempotencyKey, signal) {
      // Before a replay too, which would contain the secret of a key with more scopes.
      const old = await find(caller, id, signal);
      requireHeld(caller.scopes, old.scopes);
      const content = ['rotateApiKey', id, overlapSeconds] as const;
      const rotated = await idempotency.run(
        { ...identityOf(caller), key: idempotencyKey, content },
        inTransaction(repository.transaction, signal, async (tx) => {
          const { held, endsAt } = await lock(tx, caller);
          const check = ({ scopes }: ApiKey) => requireHeld(held, scopes);
          await requireRoom(tx, caller.organization, old.kind);
          const { keyId: createdBy, actor } = caller;
          const rotation = { id, overlapSeconds, createdBy, endsAt, actor, check };
          const { old: replaced, ...issued } = await rotateKey(repository, tx, reachableBy(caller), rotation);
          return { ...withToken(issued), replaces: toResource(replaced) };
        }),
        signal,
      );
      if (!rotated.replayed) stats.rotated++;
      return rotated;
    },
    find: async (caller, id, signal) => toResource(await find(caller, id, signal)),
    async list(caller, after, limit, signal) {
      const { keys, next } = await repository.list(reachableBy(caller), after, limit, signal);
      return { keys: keys.map(toResource), next };
    },
    async revoke(caller, id, signal) {
      const revoked = await repository.transaction(
        (tx) =>
          revokeKey(repository, { standing, withdrawInvitations }, tx, caller.actor, reachableBy(caller), id),
        {
          signal,
        },
      );
      if (revoked === null) return toResource(await find(caller, id, signal));
      stats.revoked++;
      return toResource(revoked);
    },
  };
}

/**
 * Returns what locks the keys of an organization for a change, and returns what the caller may do, and when it expires
 * if it is a key.
 */
function createLock(repository: KeyRepository, standing: Standing) {
  return async (tx: Tx, caller: KeyCaller): Promise<{ held: readonly string[]; endsAt: Date | null }> => {
    await standing.lock(tx, caller.organization);
    const held = await standing.require(tx, caller, 'keys:write');
    // Null for sessions.
    const own = await repository.find(reachableBy(caller), caller.keyId, { tx });
    return { held, endsAt: own?.expiresAt ?? null };
  };
}

function reachableBy({ organization, kind }: KeyCaller): KeysOf {
  return { owner: organization, kinds: kind === 'test' ? ['test'] : ['live', 'test'] };
}

function identityOf({ organization, kind, actor }: KeyCaller): Pick<RequestIdentity, 'owner' | 'secretFor'> {
  return { owner: kind === 'test' ? testSpaceOf(organization) : organization, secretFor: callerIdOf(actor) };
}

/** Nobody grants more than they have. */
function requireHeld(held: readonly string[], scopes: readonly string[]): void {
  const missing = scopes.filter((scope) => !held.includes(scope));
  if (missing.length > 0)
    throw new AtlasError(
      'scopes_exceeded',
      `Your key does not have these scopes itself: ${missing.join(', ')}.`,
    );
}

function withToken({ key, token }: IssuedKey): NewKeyResource {
  return { ...toResource(key), token };
}

function toResource(key: ApiKey) {
  const { id, kind, name, scopes, createdBy, replacedBy, createdAt, expiresAt, revokedAt, lastUsedAt } = key;
  return {
    id,
    kind: kind as KeyCaller['kind'],
    name,
    scopes,
    state: stateOf(key),
    createdBy,
    replacedBy,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
    revokedAt: revokedAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}
