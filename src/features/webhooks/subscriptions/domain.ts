import { randomBytes } from 'node:crypto';

/** What an owner decides about a webhook. */
export interface WebhookContent {
  readonly url: string;
  /** Null for all types, also those that come later. */
  readonly eventTypes: readonly string[] | null;
  readonly description: string | null;
  readonly enabled: boolean;
}

/** What is to change of a webhook; what is not there stays. */
export type WebhookChange = { readonly [K in keyof WebhookContent]?: WebhookContent[K] | undefined };

/** Why Atlas has disabled a webhook: everything failed for days, or its target said that it is gone for good (410). */
export type DisabledReason = 'failing' | 'gone';

/** A target of the events of its owner. Times are RFC 3339, UTC. */
export interface Webhook extends WebhookContent {
  readonly id: string;
  readonly owner: string;
  /** Null while it is enabled, and when its owner has disabled it. */
  readonly disabledReason: DisabledReason | null;
  readonly disabledAt: string | null;
  /** Since when every attempt has failed; null when the last one did not. */
  readonly failingSince: string | null;
  /** Until when the secret before the present one signs too. */
  readonly oldSecretUntil: string | null;
  /** Counts what has changed of it. */
  readonly version: number;
  readonly createdAt: string;
}

export const WEBHOOKS_PER_OWNER_MAX = 20;
/** How long a receiver may go on with the secret of before. */
export const OLD_SECRET_HOURS = 24;

const SECRET_SIZE_BYTES = 32;
const SECRET_PREFIX = 'whsec_';

/** A new secret: 256 random bits, of the 192 to 512 that Standard Webhooks asks for. */
export function makeSecret(): Buffer {
  return randomBytes(SECRET_SIZE_BYTES);
}

/** A secret as its owner gets it, in the form of Standard Webhooks. */
export function writeSecret(secret: Uint8Array): string {
  return SECRET_PREFIX + Buffer.from(secret).toString('base64');
}

/** A URL as it is stored: normalised, and without the fragment, which is never sent. */
export function normaliseUrl(text: string): string {
  const url = new URL(text);
  url.hash = '';
  return url.href;
}
