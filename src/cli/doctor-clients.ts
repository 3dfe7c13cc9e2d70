import type { Config } from '../config.ts';

/**
 * Returns what is wrong with the addresses of clients. Atlas serves no TLS itself, so behind an origin with `https` there
 * is a proxy. Unless it is trusted, everybody seems to come from it, also who guesses passwords.
 */
export function notesOnClients({
  PUBLIC_URL,
  TRUSTED_PROXIES,
}: Pick<Config, 'PUBLIC_URL' | 'TRUSTED_PROXIES'>): string[] {
  if (PUBLIC_URL === undefined || !PUBLIC_URL.startsWith('https:') || TRUSTED_PROXIES.length > 0) return [];
  return [
    'PUBLIC_URL has TLS, so there is a proxy, and to Atlas all clients have its address: wrong passwords of one make all wait. Set TRUSTED_PROXIES to the addresses of the proxy.',
  ];
}
