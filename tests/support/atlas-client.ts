/** How a request ended: an answer, or none because the connection failed. */
export type Answer = { readonly status: number; readonly replayed: boolean; readonly body: unknown } | null;

export interface TransferBody {
  readonly id: string;
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly amount: number;
}

/** Calls the API at the URL with the key. */
export function createClient(url: string, key: string) {
  async function send(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${url}${path}`, { ...init, headers: { Authorization: `Bearer ${key}`, ...init.headers } });
  }

  async function get<T>(path: string): Promise<T> {
    const response = await send(path);
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Posts once, and answers null when the connection failed. */
  async function post(path: string, json: unknown, idempotencyKey?: string): Promise<Answer> {
    try {
      const response = await send(path, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          ...(idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey }),
        },
        body: JSON.stringify(json),
      });
      const replayed = response.headers.get('Idempotency-Replayed') === 'true';
      return { status: response.status, replayed, body: await response.json() };
    } catch {
      return null;
    }
  }

  /** All pages of a list, one after the other. `member` is where a page holds its items. */
  async function list<T>(path: string, member: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '?limit=200' : `?limit=200&cursor=${cursor}`;
      const page: Record<string, unknown> = await get(`${path}${query}`);
      items.push(...(page[member] as T[]));
      cursor = page.nextCursor as string | null;
    } while (cursor !== null);
    return items;
  }

  return { get, post, list };
}

export type Client = ReturnType<typeof createClient>;
