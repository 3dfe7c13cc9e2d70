import { AtlasError } from '../../errors.ts';
import { baseUrl } from '../../utils/base-url.ts';

const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];
const LOCAL_ADDRESSES: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** The settings that say where people find this Atlas. */
export interface OriginSettings {
  readonly PUBLIC_URL?: string | undefined;
  readonly ENVIRONMENT: string;
  readonly API_HOST: string;
  readonly API_PORT: number;
}

/**
 * Returns the origin at which people find this Atlas, such as `https://atlas.example.com`: for links in mails, and for
 * what their browsers send. Null if it is unknown: only where developers work is it the address that Atlas listens on.
 */
export function publicOriginOf({
  PUBLIC_URL,
  ENVIRONMENT,
  API_HOST,
  API_PORT,
}: OriginSettings): string | null {
  if (PUBLIC_URL !== undefined) return PUBLIC_URL;
  return isDevelopment(ENVIRONMENT) ? baseUrl(API_HOST, API_PORT) : null;
}

/** Whether nobody but developers can reach this Atlas: it is one of theirs, and listens on their own host only. */
export function isForDevelopers({ ENVIRONMENT, API_HOST }: OriginSettings): boolean {
  return isDevelopment(ENVIRONMENT) && LOCAL_ADDRESSES.includes(API_HOST);
}

const isDevelopment = (environment: string) => environment === 'development' || environment === 'test';

/** Whether passwords and cookies may be sent to this origin: over TLS, or without leaving the host. */
export function isPrivateOrigin(origin: string): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === 'https:' || LOCAL_HOSTS.includes(hostname);
}

/** Returns the origin. Throws `https_required` unless passwords and cookies may be sent there. */
export function requirePrivateOrigin(origin: string | null): string {
  if (origin !== null && isPrivateOrigin(origin)) return origin;
  throw new AtlasError(
    'https_required',
    origin === null
      ? 'PUBLIC_URL is not set, so this Atlas does not know where people find it.'
      : `People find this Atlas at ${origin}, where passwords would be sent in plain text.`,
    { remedy: 'Serve Atlas over TLS, and set PUBLIC_URL to its origin, such as https://atlas.example.com.' },
  );
}
