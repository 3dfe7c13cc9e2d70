/** A response, or status 0 if there was none. */
export interface DemoResponse {
  readonly status: number;
  readonly body: string;
}

/** A client of the demo's Atlas. `send` never throws; the `read` methods do if they get no 200. */
export interface DemoClient {
  send(method: string, path: string, json?: unknown, idempotencyKey?: string): Promise<DemoResponse>;
  /** Returns the JSON of a response with status 200. Throws an Error for any other. */
  read<T>(path: string): Promise<T>;
  /** Like `read`, but retries for some seconds while Atlas is overloaded or unavailable. */
  readWithRetries<T>(path: string): Promise<T>;
  /** Returns the text of a response with status 200. Throws an Error for any other. */
  readText(path: string): Promise<string>;
}

// Longer than Atlas lets a request of the demo run, so that its own 504 is seen.
const RESPONSE_MAX_MS = 8000;
const RETRY_MAX_MS = 20_000;
const RETRY_EVERY_MS = 250;

export function createDemoClient(url: string, key: string): DemoClient {
  async function send(
    method: string,
    path: string,
    json?: unknown,
    idempotencyKey?: string,
  ): Promise<DemoResponse> {
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        // A new connection for each request, so that no pool hides what happens to a request.
        keepalive: false,
        signal: AbortSignal.timeout(RESPONSE_MAX_MS),
        headers: {
          Authorization: `Bearer ${key}`,
          ...(json !== undefined && { 'Content-Type': 'application/json' }),
          ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
        },
        ...(json !== undefined && { body: JSON.stringify(json) }),
      });
      return { status: response.status, body: await response.text() };
    } catch {
      return { status: 0, body: '' };
    }
  }

  async function readText(path: string): Promise<string> {
    const { status, body } = await send('GET', path);
    if (status === 0) throw new Error(`GET ${path} got no response.`);
    if (status !== 200) throw new Error(`GET ${path} returned ${status}: ${body}`);
    return body;
  }

  return {
    send,
    readText,
    async readWithRetries(path) {
      for (const untilMs = performance.now() + RETRY_MAX_MS; ; ) {
        try {
          return JSON.parse(await readText(path));
        } catch (error) {
          if (performance.now() > untilMs) throw error;
          await Bun.sleep(RETRY_EVERY_MS);
        }
      }
    },
    read: async (path) => JSON.parse(await readText(path)),
  };
}
