/** Returns the URL at which this host reaches an Atlas on the address and port, without a trailing slash. */
export function baseUrl(host: string, port: number): string {
  // A wildcard address is for listening, not for connecting.
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
