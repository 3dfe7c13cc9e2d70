/** The part of the package that tests use; it brings no types. */
declare module 'oidc-provider' {
  import type { Server } from 'node:http';

  export default class Provider {
    constructor(issuer: string, configuration: object);
    listen(port: number, host: string, onListening: () => void): Server;
  }
}
