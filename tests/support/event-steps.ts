import type { CloudEvent } from '../../src/utils/event.ts';
import type { TestApp } from './test-app.ts';
import { until } from './until.ts';

/** An event as the API returns it. */
export type ListedEvent = CloudEvent & { readonly position: string };

export interface EventPage {
  readonly events: readonly ListedEvent[];
  readonly nextCursor: string | null;
  readonly resumeCursor: string;
}

/** Runs the relay until it is stopped, as one worker of each host does. */
export function startRelay({ loops }: Pick<TestApp, 'loops'>): () => Promise<void> {
  const controller = new AbortController();
  const running = loops.find(({ name }) => name === 'relay')!.run(controller.signal);
  return async () => {
    controller.abort();
    await running;
  };
}

/** Runs the relay until the outbox is empty: that of this app, or of another host on its database. */
export async function relayAll(atlas: TestApp, host: Pick<TestApp, 'loops'> = atlas): Promise<void> {
  const stop = startRelay(host);
  await untilRelayed(atlas);
  await stop();
}

/** Waits until the outbox is empty: everything that has happened so far has its position in the log. */
export async function untilRelayed({ sql }: TestApp): Promise<void> {
  await until(async () => (await sql`SELECT FROM outbox LIMIT 1`).length === 0);
}

export async function listEvents(atlas: TestApp, query = '', token?: string): Promise<EventPage> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const response = await atlas.call('GET', `/v1/events${query}`, { headers });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as EventPage;
}

/** One block of a stream: fields by name, comments under the empty name. */
export type Block = Readonly<Record<string, string>>;

/** Reads a stream of server-sent events, block by block. */
export class StreamReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = '';
  /** The value to send as Last-Event-ID. */
  lastId = '';

  constructor(response: Response) {
    if (response.status !== 200 || response.body === null) throw new Error(`status ${response.status}`);
    this.#reader = response.body.getReader();
  }

  /** Returns the next block, or null at the end of the stream. */
  async block(): Promise<Block | null> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const lines = this.#text.slice(0, end).split('\n');
        this.#text = this.#text.slice(end + 2);
        const fields = lines.map((line) => /^([a-z]*): ?(.*)$/s.exec(line)!.slice(1) as [string, string]);
        const block = Object.fromEntries(fields);
        this.lastId = block.id ?? this.lastId;
        return block;
      }
      const { value, done } = await this.#reader.read();
      if (done) return null;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /** Returns the next event, or null at the end of the stream. Skips greetings and comments. */
  async event(): Promise<CloudEvent | null> {
    for (;;) {
      const block = await this.block();
      if (block === null) return null;
      if (block.data !== undefined) return JSON.parse(block.data) as CloudEvent;
    }
  }

  async events(count: number): Promise<CloudEvent[]> {
    const found: CloudEvent[] = [];
    while (found.length < count) {
      const event = await this.event();
      if (event === null) throw new Error(`the stream ended after ${found.length} of ${count} events`);
      found.push(event);
    }
    return found;
  }

  /** Closes the connection. */
  leave(): Promise<void> {
    return this.#reader.cancel();
  }
}

export async function followEvents(
  atlas: TestApp,
  query = '',
  headers: Record<string, string> = {},
): Promise<StreamReader> {
  return new StreamReader(await atlas.call('GET', `/v1/events/stream${query}`, { headers }));
}
