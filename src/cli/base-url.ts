/** Where an Atlas that listens on the address and port is reached from this host, without a slash at the end. */
export function baseUrl(host: string, port: number): string {
  // An address of every interface is one to listen on, not one to ask.
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
