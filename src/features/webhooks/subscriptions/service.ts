import { AtlasError } from '../../../errors.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Actor } from '../../../utils/actor.ts';
import { createReservedId } from '../../../utils/reserved-id.ts';
import type { Sealing } from '../../../utils/sealing.ts';
import { commandActor } from '../../actor.ts';
import { callerIdOf, type Done, type Idempotency, inTransaction, type Tx } from '../../idempotency.ts';
import { sealSecret } from '../../seal-secret.ts';
import {
  DELETED_PER_OWNER_MAX,
  formatSecret,
  generateSecret,
  normalizeUrl,
  secretContext,
  WEBHOOKS_PER_OWNER_MAX,
  type Webhook,
  type WebhookChange,
  type WebhookContent,
} from './domain.ts';
import type { StoreSecret, WebhookRepository } from './repository.ts';
import type { CheckTargetOf } from './target-checks.ts';

/** A webhook with its secret, as it is returned once, and to retries with the same Idempotency-Key. */
export interface WebhookWithSecret {
  readonly webhook: Webhook;
  readonly secret: string;
}

/**
 * Throws unless the actor may do what the scope names at this moment, which nobody takes from them until the
 * transaction ends. It has locked nothing yet. What the pipeline knows is a few seconds old: in that time somebody who
 * was just removed could add a webhook, which would go on receiving events.
 */
export type RequireNow = (tx: Tx, owner: string, actor: Actor, scope: string) => Promise<void>;

/** Dependencies of webhooks. */
export interface WebhookServicePorts {
  readonly repository: WebhookRepository;
  readonly checkTarget: CheckTargetOf;
  readonly sealing: Sealing;
  readonly idempotency: Idempotency;
  readonly requireNow: RequireNow;
}

/** Operations on webhooks. All are scoped to one owner, and throw `AtlasError`. */
export interface WebhookService {
  /** Creates an enabled webhook. The only time its secret is returned, rotations aside. */
  create(
    owner: string,
    content: Omit<WebhookContent, 'enabled'>,
    actor: Actor,
    signal: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<WebhookWithSecret>>;
  /** Creates a disabled webhook of the demo data. Returns false if the ID is or was taken. */
  createDemo(owner: string, id: string, url: string): Promise<boolean>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<Webhook>;
  list: WebhookRepository['list'];
  /** Updates the given members if the webhook has an expected version. Enabling it resets its failures. */
  change(
    owner: string,
    id: string,
    expected: Expected,
    change: WebhookChange,
    actor: Actor,
    signal: AbortSignal,
  ): Promise<Webhook>;
  /** Replaces the secret. The old one also signs for another day. */
  rotateSecret(
    owner: string,
    id: string,
    actor: Actor,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<WebhookWithSecret>>;
  remove(owner: string, id: string, actor: Actor, signal?: AbortSignal): Promise<void>;
}

const LIMITS = { webhooksMax: WEBHOOKS_PER_OWNER_MAX, deletedMax: DELETED_PER_OWNER_MAX };

export function createWebhookService(ports: WebhookServicePorts): WebhookService {
  const { repository, checkTarget, sealing, idempotency } = ports;
  /** Returns work in a transaction in which the actor may change webhooks. */
  const allowed = <T>(
    owner: string,
    actor: Actor,
    signal: AbortSignal | undefined,
    work: (tx: Tx) => Promise<T>,
  ) =>
    inTransaction(repository.transaction, signal, async (tx) => {
      await ports.requireNow(tx, owner, actor, 'webhooks:write');
      return work(tx);
    });
  const storing =
    (id: string, secret: Uint8Array): StoreSecret =>
    (isSealed) =>
      isSealed
        ? { secret: null, sealedSecret: sealSecret(sealing, secret, secretContext(id)) }
        : { secret, sealedSecret: null };
  const find = async (owner: string, id: string, signal?: AbortSignal) => {
    const webhook = await repository.find(owner, id, signal);
    if (webhook === null) throw notFound(id);
    return webhook;
  };

  return {
    async create(owner, { url: text, eventTypes, description }, actor, signal, key) {
      const url = normalizeUrl(text);
      const content = ['createWebhook', url, eventTypes, description] as const;
      const request = { owner, key, content, secretFor: callerIdOf(actor) };
      const earlier = await idempotency.find<WebhookWithSecret>(request, signal);
      if (earlier !== null) return earlier;
      await checkTarget(owner, url, signal);
      const secret = generateSecret();
      const id = createReservedId('webhook');
      const webhook = { id, owner, url, eventTypes, description, store: storing(id, secret) };
      const create = allowed(owner, actor, signal, async (tx) => {
        const created = await repository.create(webhook, LIMITS, actor, { tx });
        if (created === null) throw tooMany();
        return { webhook: created, secret: formatSecret(secret) };
      });
      return idempotency.run(request, create, signal);
    },
    async createDemo(owner, id, url) {
      const actor = commandActor();
      if (await repository.exists(id)) return false;
      const store = storing(id, generateSecret());
      const content = { id, owner, url, eventTypes: null, description: 'Demo', store };
      await repository.create(content, LIMITS, actor);
      return (await repository.update(owner, id, 'any', { enabled: false }, actor)) !== null;
    },
    find,
    list: repository.list,
    async change(owner, id, expected, { url: text, ...change }, actor, signal) {
      const url = text === undefined ? undefined : normalizeUrl(text);
      const before = await find(owner, id, signal);
      // No DNS lookup for a change that would be rejected anyway.
      if (expected !== 'any' && !expected.includes(before.version)) throw changed();
      if (url !== undefined) await checkTarget(owner, url, signal);
      const update = allowed(owner, actor, signal, (tx) =>
        repository.update(owner, id, expected, { ...change, url }, actor, { tx }),
      );
      const webhook = await update();
      if (webhook === null) throw changed();
      return webhook;
    },
    async rotateSecret(owner, id, actor, signal, key) {
      const secret = generateSecret();
      const rotate = allowed(owner, actor, signal, async (tx) => {
        const webhook = await repository.rotateSecret(owner, id, storing(id, secret), actor, { tx });
        if (webhook === null) throw notFound(id);
        return { webhook, secret: formatSecret(secret) };
      });
      const content = ['rotateWebhookSecret', id] as const;
      return idempotency.run({ owner, key, content, secretFor: callerIdOf(actor) }, rotate, signal);
    },
    async remove(owner, id, actor, signal) {
      if (!(await repository.remove(owner, id, actor, signal))) throw notFound(id);
    },
  };
}

const tooMany = () =>
  new AtlasError(
    'too_many_webhooks',
    `You already have ${LIMITS.webhooksMax} webhooks, or have deleted ${LIMITS.deletedMax} within about an hour.`,
  );
const notFound = (id: string) => new AtlasError('webhook_not_found', `Webhook ${id} does not exist.`);
const changed = () => new AtlasError('precondition_failed', 'The webhook has changed since you read it.');
