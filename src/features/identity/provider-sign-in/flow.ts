import { randomBytes } from 'node:crypto';
import type { Sealing } from '../../../utils/sealing.ts';
import { sealSecret } from '../../seal-secret.ts';
import type { FormerSession } from '../session.ts';
import { type AuthorizationFlow, FLOW_MINUTES, RECENT_AGE_SECONDS, USUAL_AGE_SECONDS } from './domain.ts';

/** A sign-in on its way to the provider and back. A cookie has it, sealed, so those that never end cost nothing. */
export interface Flow extends AuthorizationFlow {
  /** The path to go to in the end. */
  readonly redirect: string;
  /** Whether the session has to be a recent one. */
  readonly isRecent: boolean;
  /** The token of an invitation; null without one. */
  readonly invitation: string | null;
  /** The session that the browser had, which the way back from another site does not send. It ends. */
  readonly former: FormerSession | null;
  readonly endsMs: number;
}

const CONTEXT = { purpose: 'sign-in through a provider', id: '' };
const BYTES = 32;

export const randomToken = () => randomBytes(BYTES).toString('base64url');

export function startFlow(
  options: Pick<Flow, 'redirectUri' | 'redirect' | 'isRecent' | 'invitation' | 'former'>,
): Flow {
  const endsMs = Date.now() + FLOW_MINUTES * 60_000;
  const maxAgeSeconds = options.isRecent ? RECENT_AGE_SECONDS : USUAL_AGE_SECONDS;
  const random = { state: randomToken(), nonce: randomToken(), verifier: randomToken() };
  return { ...options, ...random, maxAgeSeconds, endsMs };
}

/** Returns the value of the cookie. Throws `secrets_key_missing` outside of development without `SECRETS_KEY`. */
export function sealFlow(sealing: Sealing, flow: Flow): string {
  return sealSecret(sealing, Buffer.from(JSON.stringify(flow)), CONTEXT);
}

/** Returns the flow in the cookie; null if it is none of this Atlas, or has ended. */
export function openFlow(sealing: Sealing, record: string | undefined): Flow | null {
  if (record === undefined) return null;
  try {
    const flow = JSON.parse(sealing.open(record, CONTEXT).toString()) as Flow;
    return flow.endsMs > Date.now() ? flow : null;
  } catch {
    return null;
  }
}
