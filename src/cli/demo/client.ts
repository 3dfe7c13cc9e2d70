/** An answer, or status 0 where there was none. */
export interface DemoAnswer {
  readonly status: number;
  readonly body: string;
}

/** Calls an Atlas as a client of it does. Nothing here throws because Atlas is away, but {@link DemoClient.read}. */
export interface DemoClient {
  send(method: string, path: string, json?: unknown, idempotencyKey?: string): Promise<DemoAnswer>;
  /** The JSON of an answer with status 200. Throws an Error for any other. */
  read<T>(path: string): Promise<T>;
  /** Like `read`, of who has time: asks again for some seconds while Atlas is full or away. */
  readPatiently<T>(path: string): Promise<T>;
  /** The text that a path answers. Throws an Error where it does not. */
  readText(path: string): Promise<string>;
}

// Longer than Atlas itself lets a request of the demo run, so that its own 504 is seen.
const ANSWER_MAX_MS = 8000;
const PATIENCE_MS = 20_000;
const AGAIN_MS = 250;

export function createDemoClient(url: string, key: string): DemoClient {
  async function send(
    method: string,
    path: string,
    json?: unknown,
    idempotencyKey?: string,
  ): Promise<DemoAnswer> {
    try {
      const response = await fetch(`${url}${path}`, {
        method,
        // A new connection each time: what is seen is what one request sees, not what a pool makes of it.
        keepalive: false,
        signal: AbortSignal.timeout(ANSWER_MAX_MS),
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
    if (status !== 200) throw new Error(`GET ${path} answered ${status || 'nothing'}: ${body}`);
    return body;
  }

  return {
    send,
    readText,
    async readPatiently(path) {
      for (const untilMs = performance.now() + PATIENCE_MS; ; ) {
        try {
          return JSON.parse(await readText(path));
        } catch (error) {
          if (performance.now() > untilMs) throw error;
          await Bun.sleep(AGAIN_MS);
        }
      }
    },
    read: async (path) => JSON.parse(await readText(path)),
  };
}
