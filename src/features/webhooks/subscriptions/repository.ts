import { auditFragment } from '../../../adapters/postgres/audit.ts';
import type { Database, QueryOptions } from '../../../adapters/postgres/database.ts';
import type { Fragment } from '../../../adapters/postgres/query.ts';
import { areSecretsSealed } from '../../../adapters/postgres/secrets-at-rest.ts';
import type { Expected } from '../../../http/etag.ts';
import type { Actor } from '../../../utils/actor.ts';
import {
  OLD_SECRET_HOURS,
  type StoredSecret,
  type Webhook,
  type WebhookChange,
  type WebhookContent,
} from './domain.ts';

/** Returns how to store a secret, as the database says. */
export type StoreSecret = (isSealed: boolean) => StoredSecret;

type NewWebhook = Omit<WebhookContent, 'enabled'> & {
  readonly id: string;
  readonly owner: string;
  readonly store: StoreSecret;
};

/** Maximum webhooks of one owner. */
export interface OwnerLimits {
  readonly webhooksMax: number;
  readonly deletedMax: number;
}

/** Webhooks in PostgreSQL. Every method is limited to one owner, and ignores deleted webhooks. */
export interface WebhookRepository {
  transaction: Database['transaction'];
  /** Returns null if the owner has reached a maximum: of its webhooks, or of deleted ones that are still stored. */
  create(
    webhook: NewWebhook,
    limits: OwnerLimits,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<Webhook | null>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<Webhook | null>;
  /** Whether the ID is taken, by any owner, and even by a deleted webhook. */
  exists(id: string): Promise<boolean>;
  /** Lists webhooks with ids above `afterId`, oldest first. */
  list(
    owner: string,
    afterId: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ webhooks: Webhook[]; nextId: string | null }>;
  /** Returns null if there is no such webhook, or its version is not an expected one. */
  update(
    owner: string,
    id: string,
    expected: Expected,
    change: WebhookChange,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<Webhook | null>;
  /** Returns null if there is no such webhook. */
  rotateSecret(
    owner: string,
    id: string,
    store: StoreSecret,
    actor: Actor,
    options?: QueryOptions,
  ): Promise<Webhook | null>;
  /** Returns whether there was one. Its deliveries stop immediately, and are deleted in steps. */
  remove(owner: string, id: string, actor: Actor, signal?: AbortSignal): Promise<boolean>;
}

interface WebhookRow extends Omit<Webhook, 'createdAt' | 'disabledAt' | 'failingSince' | 'oldSecretUntil'> {
  readonly createdAt: Date;
  readonly disabledAt: Date | null;
  readonly failingSince: Date | null;
  readonly oldSecretUntil: Date | null;
}

// An arbitrary seed for the lock that makes counting an owner's webhooks and adding one a single step.
// Callers do not choose owners, and hosts of the release before take the same lock: see also `lockName`.
const LOCK_SEED = 7_315_488_127;

export function createWebhookRepository(db: Database): WebhookRepository {
  const columns = db.fragment`id, owner, url, event_types, description, enabled, disabled_reason, disabled_at,
    failing_since, old_secret_until, version, created_at`;
  // What is audited. The query of a URL may contain a token.
  const content = db.fragment`jsonb_build_object('url', regexp_replace(url, '[?].*', '?…'), 'eventTypes', event_types,
    'description', description, 'enabled', enabled)`;
  const audited = (actor: Actor, did: string, changed: Fragment) =>
    auditFragment(db.fragment, actor, ['webhook', did], changed);

  return {
    transaction: (work, options) => db.transaction(work, options),
    async create(
      { id, owner, url, eventTypes, description, store },
      { webhooksMax, deletedMax },
      actor,
      options,
    ) {
      const [row] = await db.transaction(async (tx) => {
        await tx.query((sql) => sql`SELECT pg_advisory_xact_lock(hashtextextended(${owner}, ${LOCK_SEED}))`);
        const { secret, sealedSecret } = store(await areSecretsSealed(tx));
        return tx.query(
          (sql) => sql<WebhookRow[]>`
          WITH created AS (
          INSERT INTO webhooks (id, owner, url, event_types, description, secret, sealed_secret)
          SELECT ${id}, ${owner}, ${url}, ${eventTypes}::text[], ${description}, ${secret}, ${sealedSecret}
          WHERE (SELECT count(*) FROM webhooks WHERE owner = ${owner} AND deleted_at IS NULL) < ${webhooksMax}
            AND (SELECT count(*) FROM webhooks WHERE owner = ${owner} AND deleted_at IS NOT NULL) < ${deletedMax}
          RETURNING *
          ), audited AS (${audited(actor, 'created', db.fragment`SELECT owner, id, NULL::jsonb, ${content} FROM created`)})
          SELECT ${columns} FROM created`,
        );
      }, options);
      return row ? toWebhook(row) : null;
    },
    async find(owner, id, signal) {
      const [row] = await db.query(
        (sql) => sql<WebhookRow[]>`
          SELECT ${columns} FROM webhooks WHERE id = ${id} AND owner = ${owner} AND deleted_at IS NULL`,
        { signal },
      );
      return row ? toWebhook(row) : null;
    },
    async exists(id) {
      const rows = await db.query((sql) => sql`SELECT FROM webhooks WHERE id = ${id}`);
      return rows.length > 0;
    },
    async list(owner, afterId, limit, signal) {
      const rows = await db.query(
        (sql) => sql<WebhookRow[]>`
          SELECT ${columns} FROM webhooks
          WHERE owner = ${owner} AND deleted_at IS NULL ${afterId === null ? sql`` : sql`AND id > ${afterId}`}
          ORDER BY id LIMIT ${limit + 1}`,
        { signal },
      );
      const page = rows.slice(0, limit);
      return { webhooks: page.map(toWebhook), nextId: rows.length > limit ? page.at(-1)!.id : null };
    },
    async update(owner, id, expected, change, actor, options) {
      const { url = null, enabled = null, description, eventTypes } = change;
      // Earlier failures do not count against another target, or one that its owner has fixed.
      const [row] = await db.query(
        (sql) => sql<WebhookRow[]>`
          WITH former AS (
            SELECT id AS former_id, url AS former_url, ${content} AS former FROM webhooks
            WHERE id = ${id} AND owner = ${owner} AND deleted_at IS NULL FOR NO KEY UPDATE
          ), updated AS (
          UPDATE webhooks SET
            url = coalesce(${url}, url),
            ${description === undefined ? sql`` : sql`description = ${description},`}
            ${eventTypes === undefined ? sql`` : sql`event_types = ${eventTypes}::text[],`}
            enabled = coalesce(${enabled}, enabled),
            disabled_reason = CASE WHEN ${enabled}::boolean IS NULL THEN disabled_reason END,
            disabled_at = CASE WHEN ${enabled}::boolean THEN NULL WHEN NOT ${enabled}::boolean AND enabled THEN now()
              ELSE disabled_at END,
            failing_since = CASE WHEN ${enabled}::boolean AND NOT enabled OR ${url}::text <> url THEN NULL
              ELSE failing_since END,
            version = version + 1
          FROM former WHERE id = former_id AND deleted_at IS NULL
            ${expected === 'any' ? sql`` : sql`AND version = ANY (${[...expected]}::bigint[])`}
          RETURNING *
          ), audited AS (${audited(
            actor,
            'updated',
            db.fragment`SELECT owner, id, former, ${content} FROM updated
              WHERE former IS DISTINCT FROM ${content} OR former_url <> url`,
          )})
          SELECT ${columns} FROM updated`,
        options,
      );
      return row ? toWebhook(row) : null;
    },
    async rotateSecret(owner, id, store, actor, options) {
      const [row] = await db.transaction(async (tx) => {
        const { secret, sealedSecret } = store(await areSecretsSealed(tx));
        return tx.query(
          (sql) => sql<WebhookRow[]>`
          WITH updated AS (
          UPDATE webhooks SET secret = ${secret}, sealed_secret = ${sealedSecret},
            old_secret = secret, sealed_old_secret = CASE WHEN secret IS NULL THEN sealed_secret END,
            old_secret_until = now() + make_interval(hours => ${OLD_SECRET_HOURS}), version = version + 1
          WHERE id = ${id} AND owner = ${owner} AND deleted_at IS NULL
          RETURNING *
          ), audited AS (${audited(actor, 'secret_rotated', db.fragment`SELECT owner, id, NULL::jsonb, NULL::jsonb FROM updated`)})
          SELECT ${columns} FROM updated`,
        );
      }, options);
      return row ? toWebhook(row) : null;
    },
    async remove(owner, id, actor, signal) {
      const rows = await db.query(
        (sql) => sql`
          WITH former AS (
            SELECT id AS former_id, ${content} AS former FROM webhooks
            WHERE id = ${id} AND owner = ${owner} AND deleted_at IS NULL FOR UPDATE
          ), removed AS (
            UPDATE webhooks SET enabled = false, deleted_at = now() FROM former
            WHERE id = former_id AND deleted_at IS NULL RETURNING *
          ), audited AS (${audited(actor, 'deleted', db.fragment`SELECT owner, id, former, NULL::jsonb FROM removed`)})
          SELECT id FROM removed`,
        { signal },
      );
      return rows.length > 0;
    },
  };
}

function toWebhook(row: WebhookRow): Webhook {
  const text = (time: Date | null) => time?.toISOString() ?? null;
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    disabledAt: text(row.disabledAt),
    failingSince: text(row.failingSince),
    oldSecretUntil: text(row.oldSecretUntil),
  };
}
