import type { TestApp } from '../support/test-app.ts';

/** The response on a connection that the server closed. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A real server on a free port of the loopback interface, for requests that no client library would send. */
export interface RawServer {
  readonly url: string;
  /** Writes the lines of a head and a body, byte for byte, and reads until the server closes. */
  send(head: readonly string[], body?: string | Uint8Array): Promise<RawResponse>;
  stop(): Promise<void>;
}

export function serveRaw(atlas: TestApp): RawServer {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: atlas.fetch });
  return {
    url: `http://127.0.0.1:${server.port}`,
    send: (head, body = '') =>
      exchangeBytes(server.port!, `${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n`, body),
    stop: () => server.stop(true),
  };
}

/** Converts to a `Response`, for assertions that take one. */
export function toResponse({ status, headers, body }: RawResponse): Response {
  return new Response(body, { status, headers });
}

function exchangeBytes(port: number, head: string, body: string | Uint8Array): Promise<RawResponse> {
  const rest = typeof body === 'string' ? Buffer.from(body) : body;
  const bytes = Buffer.concat([Buffer.from(head, 'latin1'), rest]);
  let written = 0;
  let received = '';
  return new Promise((resolve, reject) => {
    const write = (socket: Bun.Socket) => {
      while (written < bytes.length) {
        const took = socket.write(bytes.subarray(written));
        if (took <= 0) return;
        written += took;
      }
    };
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open: write,
        drain: write,
        data: (_socket, chunk) => {
          received += chunk.toString('utf8');
        },
        close: () => resolve(parse(received)),
        error: (_socket, error) => reject(error),
      },
    }).catch(reject);
  });
}

function parse(received: string): RawResponse {
  const end = received.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = received.slice(0, end).split('\r\n');
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status: Number(statusLine.split(' ')[1]), headers, body: received.slice(end + 4) };
}
