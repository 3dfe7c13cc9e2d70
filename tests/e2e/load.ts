import { KeptConnection } from './kept-connection.ts';

/** The results of all callers until they were stopped. */
export interface LoadReport {
  readonly succeeded: number;
  /** The reason for each request without a complete response, or with a status other than 200. */
  readonly failed: readonly string[];
}

export interface Load {
  /** Successful requests so far. */
  succeeded(): number;
  stop(): Promise<LoadReport>;
}

export interface LoadOptions {
  readonly callers: number;
  /** Whether a caller keeps its connection until the server closes it, or opens a new one for each request. */
  readonly keepAlive: boolean;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long a caller pauses between two requests. */
  readonly pauseMs?: number;
}

/**
 * Sends requests over plain sockets, one at a time per caller. HTTP clients retry requests on reset connections; here
 * each one counts as failed.
 */
export function startLoad(
  url: string,
  { callers, keepAlive, path = '/v1/ping', headers = {}, pauseMs }: LoadOptions,
): Load {
  const { hostname, port } = new URL(url);
  const lines = Object.entries({ Host: hostname, ...headers }).map(([name, value]) => `${name}: ${value}`);
  if (!keepAlive) lines.push('Connection: close');
  const request = `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
  const failed: string[] = [];
  let succeeded = 0;
  let stopped = false;

  async function call(): Promise<void> {
    let connection: KeptConnection | null = null;
    while (!stopped) {
      if (!connection?.isOpen) connection = new KeptConnection(Number(port), hostname);
      try {
        const { status, body, closes } = await connection.exchange(request);
        if (status === 200) succeeded++;
        else failed.push(`status ${status}: ${body}`);
        if (closes || !keepAlive) connection.end();
      } catch (error) {
        failed.push((error as Error).message);
        connection.end();
      }
      if (pauseMs !== undefined) await Bun.sleep(pauseMs);
    }
    connection?.end();
  }

  const calling = Array.from({ length: callers }, call);
  return {
    succeeded: () => succeeded,
    stop: async () => {
      stopped = true;
      await Promise.all(calling);
      return { succeeded, failed };
    },
  };
}
