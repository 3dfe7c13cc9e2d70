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

/** The settings that say who can reach this Atlas. */
export interface ReachSettings extends OriginSettings {
  readonly TRUSTED_PROXIES: readonly unknown[];
}

/**
 * Whether nobody but developers can reach this Atlas, as far as its settings say: it is one of theirs, listens on their
 * own host only, and has neither a proxy there nor another place where people find it.
 */
export function isForDevelopers(settings: ReachSettings): boolean {
  const { PUBLIC_URL, ENVIRONMENT, API_HOST, TRUSTED_PROXIES } = settings;
  if (!isDevelopment(ENVIRONMENT) || !LOCAL_ADDRESSES.includes(API_HOST)) return false;
  return TRUSTED_PROXIES.length === 0 && (PUBLIC_URL === undefined || isOnThisHost(PUBLIC_URL));
}

const isDevelopment = (environment: string) => environment === 'development' || environment === 'test';

/** Whether passwords and cookies may be sent to this origin: over TLS, or without leaving the host. */
export function isPrivateOrigin(origin: string): boolean {
  return new URL(origin).protocol === 'https:' || isOnThisHost(origin);
}

const isOnThisHost = (origin: string) => LOCAL_HOSTS.includes(new URL(origin).hostname);

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
