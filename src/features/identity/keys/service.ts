import { randomBytes } from 'node:crypto';
import type { Principal } from '../../../envelope/exchange.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { commandActor } from '../../actor.ts';
import type { CredentialStore } from '../credentials.ts';
import { isNewOrganizationId, isReservedId, testSpaceOf, UNUSABLE_IDS } from '../organization-id.ts';
import type { QuotaService } from '../quotas/service.ts';
import { isOperatorScope, isPersonalScope } from '../scope-kinds.ts';
import { hashSecret, isHash } from '../token.ts';
import type { ApiKey, KeyKind } from './domain.ts';
import { issueKey, type KeyEnding, revokeKey, rotateKey } from './issue-key.ts';
import type { KeyPosition, KeyRepository, StoredKey, Tx } from './repository.ts';

const KEYS_PER_READ = 1000;
const EVERY_KEY = { owner: null, kinds: ['live', 'test', 'operator'] } as const;

/** The properties of a new key. */
export interface NewKey {
  readonly owner: string;
  readonly kind?: KeyKind;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
}

/** Operations on API keys for the command line, and keys as credentials. */
export interface KeyService {
  /** Creates a key and returns its token, which cannot be retrieved again. Throws if the owner is reserved. */
  create(key: NewKey): Promise<{ id: string; token: string }>;
  /** Replaces a key. The old one stays valid for the overlap. Throws `AtlasError`. */
  rotate(id: string, overlapSeconds: number): Promise<{ id: string; token: string; old: ApiKey }>;
  /** Creates the keys of the demo data, whose secrets nobody knows. */
  createDemo(): Promise<void>;
  /** Returns all keys, oldest first, read in steps. */
  list(): Promise<ApiKey[]>;
  revoke(id: string): Promise<boolean>;
  /** Returns whether there is no key but those of operators and of the demo data. */
  isEmpty(): Promise<boolean>;
  /** Keys as credentials, by the kind of their token. */
  readonly stores: Readonly<Record<KeyKind, CredentialStore>>;
  /** Returns whether the key is currently neither revoked nor expired in the database. For long-lived streams. */
  isUsable(id: string, signal: AbortSignal): Promise<boolean>;
  /** Reads a stored key as requests do. Throws if what it reads is not what was stored. */
  check(signal: AbortSignal): Promise<void>;
  /** Saves which keys were used since the last call. */
  flushLastUsed(): Promise<void>;
  /** Deletes keys that ended long ago. */
  forgetEnded(): Promise<void>;
}

/** `quotaOf` returns what bounds the requests of a key that was just read. */
export function createKeyService(
  repository: KeyRepository,
  quotaOf: QuotaService['ofCaller'],
  ending: KeyEnding,
): KeyService {
  let used = new Set<string>();

  const storeOf = (kind: KeyKind): CredentialStore => ({
    async find(id, tier) {
      const key = await repository.findUsable(id, { tier });
      return key?.kind === kind ? { principal: principalOf(key, quotaOf), secretHash: key.secretHash } : null;
    },
    onUsed: (id) => void used.add(id),
  });

  return {
    create: ({ owner, kind = 'live', name, scopes, expiresAt }) =>
      repository.transaction(async (tx) => {
        if (kind !== 'operator') await requireOwner(repository, tx, owner);
        const { key, token } = await issueKey(repository, tx, commandActor(), {
          owner,
          kind,
          name,
          scopes,
          expiresAt,
          createdBy: null,
        });
        return { id: key.id, token };
      }),
    rotate: (id, overlapSeconds) =>
      repository.transaction(async (tx) => {
        const { key, token, old } = await rotateKey(repository, tx, EVERY_KEY, {
          id,
          overlapSeconds,
          createdBy: null,
          endsAt: null,
          actor: commandActor(),
        });
        return { id: key.id, token, old };
      }),
    createDemo: () => createDemoKeys(repository),
    async list() {
      const keys: ApiKey[] = [];
      for (let after: KeyPosition | null = null; ; ) {
        const page: Awaited<ReturnType<KeyRepository['list']>> = await repository.list(
          EVERY_KEY,
          after,
          KEYS_PER_READ,
        );
        keys.push(...page.keys);
        if (page.next === null) return keys;
        after = page.next;
      }
    },
    revoke: (id) =>
      repository.transaction(
        async (tx) => (await revokeKey(repository, ending, tx, commandActor(), EVERY_KEY, id)) !== null,
      ),
    isEmpty: () => repository.isEmpty(),
    stores: { live: storeOf('live'), test: storeOf('test'), operator: storeOf('operator') },
    isUsable: async (id, signal) => {
      const key = await repository.findUsable(id, { signal });
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
    forgetEnded: () => repository.forgetEnded(),
  };
}

function principalOf(key: StoredKey, quotaOf: QuotaService['ofCaller']): Principal {
  const { id, owner: organization, kind, suspended } = key;
  const isOperator = kind === 'operator';
  const scopes = key.scopes.filter(
    (scope) => isOperatorScope(scope) === isOperator && !isPersonalScope(scope),
  );
  // Operators set the quotas, so theirs must never be used up.
  if (isOperator)
    return {
      owner: '',
      organization: '',
      kind: 'operator',
      keyId: id,
      userId: null,
      scopes,
      suspended,
      quota: null,
    };
  const owner = kind === 'test' ? testSpaceOf(organization) : organization;
  const quota = quotaOf(id, owner, key);
  return { owner, organization, kind: 'key', keyId: id, userId: null, scopes, suspended, quota };
}

/** Throws unless the organization exists, or can be created with its first key. */
async function requireOwner(repository: KeyRepository, tx: Tx, owner: string): Promise<void> {
  if (isReservedId(owner)) throw refused(`the owner ${owner} is reserved, for test data or operators`);
  if (!isNewOrganizationId(owner) && !(await repository.doesOrganizationExist(tx, owner)))
    throw refused(`there is no organization ${JSON.stringify(owner)}, and ${UNUSABLE_IDS}`);
}

const refused = (why: string) =>
  new Error(`No key was created.\n  why:  ${why}\n  do:   choose another owner`);

async function createDemoKeys(repository: KeyRepository): Promise<void> {
  for (const id of [DEMO.key, DEMO.spareKey]) {
    await repository.insertDemo({
      id,
      owner: DEMO.owner,
      kind: 'live',
      name: 'Demo',
      scopes: ['ping:read'],
      secretHash: hashSecret(randomBytes(32).toString('hex'), 'live'),
      expiresAt: null,
      createdBy: null,
    });
  }
}
