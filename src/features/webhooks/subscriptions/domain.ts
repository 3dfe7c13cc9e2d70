import { randomBytes } from 'node:crypto';
import type { SealContext } from '../../../utils/sealing.ts';

/** The settings of a webhook that its owner controls. */
export interface WebhookContent {
  readonly url: string;
  /** Null for all types, including future ones. */
  readonly eventTypes: readonly string[] | null;
  readonly description: string | null;
  readonly enabled: boolean;
}

/** A change to a webhook; absent members stay as they are. */
export type WebhookChange = { readonly [K in keyof WebhookContent]?: WebhookContent[K] | undefined };

/** Why Atlas disabled a webhook: every attempt failed for days, or the target responded 410 Gone. */
export type DisabledReason = 'failing' | 'gone';

/** A URL that receives the events of its owner. Times are RFC 3339, UTC. */
export interface Webhook extends WebhookContent {
  readonly id: string;
  readonly owner: string;
  /** Null if it is enabled, or was disabled by its owner. */
  readonly disabledReason: DisabledReason | null;
  readonly disabledAt: string | null;
  /** When the current series of failures started; null if the last attempt did not fail. */
  readonly failingSince: string | null;
  /** Until when deliveries are also signed with the previous secret. */
  readonly oldSecretUntil: string | null;
  /** Incremented on every change. */
  readonly version: number;
  readonly createdAt: string;
}

export const WEBHOOKS_PER_OWNER_MAX = 20;
/** Maximum deleted webhooks of an owner that are still stored, as they are for about an hour. */
export const DELETED_PER_OWNER_MAX = 200;
/** How long the previous secret remains valid after a rotation. */
export const OLD_SECRET_HOURS = 24;

const SECRET_SIZE_BYTES = 32;
const SECRET_PREFIX = 'whsec_';

/** Generates a secret of 256 random bits; Standard Webhooks requires 192 to 512. */
export function generateSecret(): Buffer {
  return randomBytes(SECRET_SIZE_BYTES);
}

/** What the record of a webhook's secret belongs to. Its present and its former secret have the same. */
export function secretContext(webhookId: string): SealContext {
  return { purpose: 'webhook secret', id: webhookId };
}

/** A secret as it is stored: plain while hosts of the release before may have to read it, otherwise sealed. */
export type StoredSecret =
  | { readonly secret: Uint8Array; readonly sealedSecret: null }
  | { readonly secret: null; readonly sealedSecret: string };

/** Formats a secret for its owner, as Standard Webhooks specifies. */
export function formatSecret(secret: Uint8Array): string {
  return SECRET_PREFIX + Buffer.from(secret).toString('base64');
}

/** Normalizes a URL, and removes the fragment, which is never sent. */
export function normalizeUrl(text: string): string {
  const url = new URL(text);
  url.hash = '';
  return url.href;
}
