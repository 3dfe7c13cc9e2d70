import { until } from './until.ts';
/** A request as a webhook receiver sees it. */
export interface Received {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** A webhook receiver on the loopback interface. */
export interface WebhookReceiver {
  readonly url: string;
  /** All requests so far, in order of arrival. */
  readonly received: Received[];
  /** Returns the response, by default 204. Called after the request was recorded. */
  respond: (received: Received) => Response | Promise<Response>;
  /** Resolves when at least this many requests have arrived. */
  arrived(count: number): Promise<Received[]>;
  stop(): Promise<void>;
}

export function startReceiver(): WebhookReceiver {
  const received: Received[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const headers = Object.fromEntries(request.headers) as Record<string, string>;
      const one = { path: pathname + search, headers, body: await request.text() };
      received.push(one);
      return receiver.respond(one);
    },
  });
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${server.port}`,
    received,
    respond: () => new Response(null, { status: 204 }),
    arrived: (count) =>
      until(() => received.length >= count && received, { what: `${count} webhooks have arrived` }),
    stop: () => server.stop(true),
  };
  return receiver;
}
