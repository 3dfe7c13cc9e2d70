import { baseUrl } from '../../utils/base-url.ts';

const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

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
  return ENVIRONMENT === 'development' || ENVIRONMENT === 'test' ? baseUrl(API_HOST, API_PORT) : null;
}

/** Whether passwords and cookies may be sent to this origin: over TLS, or without leaving the host. */
export function isPrivateOrigin(origin: string): boolean {
  const { protocol, hostname } = new URL(origin);
  return protocol === 'https:' || LOCAL_HOSTS.includes(hostname);
}
