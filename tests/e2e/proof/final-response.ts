import type { Outcome } from '../../../src/features/ledger/movement.ts';
import type { ApiCaller } from '../../support/api-caller.ts';
import { Divergence } from './worlds.ts';

const RETRY_MS = 50;
const GIVE_UP_MS = 90_000;
const RESPONSE_MS_MAX = 15_000;
// Nothing happened, or nobody knows: the same key asks again.
const TRY_AGAIN = new Set([429, 503, 504]);
const IN_PROGRESS = 'idempotency_key_in_progress';

export interface Final {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly etag: string | null;
  /** Without a final response before it. */
  readonly retries: number;
  readonly startMs: number;
  readonly endMs: number;
}

interface RequestOptions {
  readonly json?: object | undefined;
  readonly key?: string;
  readonly ifMatch?: string;
  onRetry(): void;
}

/**
 * Sends a request until it has a final response, always under the same key, as Atlas promises is safe. Calls `onRetry`
 * for each attempt without one. Throws a {@link Divergence} for a 500, or if there is no final response for long.
 */
export async function finalResponse(
  atlas: ApiCaller,
  method: string,
  path: string,
  { json, key, ifMatch, onRetry }: RequestOptions,
): Promise<Final> {
  const headers: Record<string, string> = key === undefined ? {} : { 'Idempotency-Key': key };
  if (ifMatch !== undefined) headers['If-Match'] = ifMatch;
  const startMs = Date.now();
  let retries = 0;
  while (Date.now() - startMs < GIVE_UP_MS) {
    try {
      const response = await withinTime(atlas.call(method, path, { json, headers }));
      const body = (await withinTime(response.json())) as Record<string, unknown>;
      const { status } = response;
      if (status === 500) throw new Divergence(`${method} ${path} returned ${JSON.stringify(body)}`);
      if (!TRY_AGAIN.has(status) && codeOf(body) !== IN_PROGRESS)
        return { status, body, etag: response.headers.get('etag'), retries, startMs, endMs: Date.now() };
    } catch (error) {
      if (error instanceof Divergence) throw error;
    }
    retries++;
    onRetry();
    await Bun.sleep(RETRY_MS);
  }
  throw new Divergence(`${method} ${path} got no final response in ${GIVE_UP_MS / 1000} s`);
}

async function withinTime<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('no response')), RESPONSE_MS_MAX);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the code of a problem. */
export function codeOf(body: Record<string, unknown>): string | undefined {
  return typeof body.type === 'string' ? body.type.split('/').at(-1) : undefined;
}

/** Returns the outcome of each item, as the ledger stores it. */
export function outcomesOf(status: number, body: Record<string, unknown>, items: number): Outcome[] {
  if (Array.isArray(body.results))
    return body.results.map(
      // A set has results only if all was posted.
      (item: { status?: string; code?: string }) => (item.code ?? item.status ?? 'posted') as Outcome,
    );
  if (status < 300) return ['posted'];
  const code = codeOf(body);
  if (code !== 'batch_refused' && code !== 'set_refused') {
    if (code === undefined || items !== 1 || status === 400 || status === 401 || status === 403)
      throw new Divergence(`an unexpected response: ${status} ${JSON.stringify(body)}`);
    return [code as Outcome];
  }
  const refused = new Map(
    (body.errors as { pointer: string; code: string }[]).map((error) => [error.pointer, error.code]),
  );
  const list = code === 'set_refused' ? 'movements' : 'transfers';
  return Array.from({ length: items }, (_, i) => (refused.get(`/${list}/${i}`) ?? 'rolled_back') as Outcome);
}

interface Made {
  readonly id?: string;
}

/** Returns the ID of what an item has made. */
export function idOf(body: Record<string, unknown>, index: number): string | undefined {
  if (Array.isArray(body.results)) {
    const { id, transfer, hold } = body.results[index] as Made & Partial<Record<'transfer' | 'hold', Made>>;
    return (transfer ?? hold)?.id ?? id;
  }
  return typeof body.id === 'string' ? body.id : undefined;
}
