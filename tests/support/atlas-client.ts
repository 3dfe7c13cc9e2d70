import { type ApiCaller, requestOf } from './api-caller.ts';

/** How a request ended: with a response, or null because the connection failed. */
export type Reply = { readonly status: number; readonly replayed: boolean; readonly body: unknown } | null;

export interface Client extends ApiCaller {
  /** Returns the body. Throws unless the status is 2xx. */
  get<T>(path: string): Promise<T>;
  /** Posts once. Returns null if the connection failed. */
  post(path: string, json: unknown, idempotencyKey?: string): Promise<Reply>;
  /** Returns the items of all pages of a list. `member` is where a page holds them. */
  list<T>(path: string, member: string): Promise<T[]>;
}

/** Calls the API at the URL with the key. */
export function createClient(url: string, key: string): Client {
  const client: Client = {
    call: (method, path, options = {}) =>
      fetch(`${url}${path}`, requestOf(method, options, { Authorization: `Bearer ${key}` })),

    async get<T>(path: string) {
      const response = await client.call('GET', path);
      if (!response.ok) throw new Error(`GET ${path} returned ${response.status}: ${await response.text()}`);
      return (await response.json()) as T;
    },

    async post(path, json, idempotencyKey) {
      const headers = idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey };
      try {
        const response = await client.call('POST', path, { json, headers });
        const replayed = response.headers.get('Idempotency-Replayed') === 'true';
        return { status: response.status, replayed, body: await response.json() };
      } catch {
        return null;
      }
    },

    async list<T>(path: string, member: string) {
      const items: T[] = [];
      let cursor: string | null = null;
      do {
        const query: string = cursor === null ? '?limit=200' : `?limit=200&cursor=${cursor}`;
        const page: Record<string, unknown> = await client.get(`${path}${query}`);
        items.push(...(page[member] as T[]));
        cursor = page.nextCursor as string | null;
      } while (cursor !== null);
      return items;
    },
  };
  return client;
}
