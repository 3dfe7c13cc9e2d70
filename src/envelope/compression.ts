import { compress, type Encoding, negotiateEncoding, WORTHWHILE_BYTES } from '../utils/content-encoding.ts';
import { partyOf } from '../utils/party.ts';
import { settle } from '../utils/settle.ts';
import type { CompressionBudget, CompressionSlot } from './compression-budget.ts';
import type { Middleware } from './exchange.ts';

const COMPRESSIBLE =
  /^(?:text\/(?!event-stream)|application\/(?:[\w.-]+\+)?(?:json|javascript|xml)|image\/svg)/;

/**
 * Compresses responses of routes marked as compressible, within the budget. Event streams, small responses, and encoded
 * responses pass unchanged. Other routes are skipped: reading the body of a response costs more than compression saves.
 */
export function compression(budget: CompressionBudget): Middleware {
  return (next) => (request, exchange) => {
    if (!exchange.route.compressible) return next(request, exchange);
    const encoding = negotiateEncoding(request.headers.get('accept-encoding'));
    return settle(next(request, exchange), (response) => {
      if (!isCompressible(response)) return response;
      response.headers.append('vary', 'Accept-Encoding');
      if (encoding === null) return response;
      const slot = budget.take(exchange.principal && partyOf(exchange.principal));
      if (slot === null) return response;
      // What follows is not the work of the route, so load shedding must not learn from it.
      exchange.endedMs = performance.now();
      return compressed(response, encoding, slot);
    });
  };
}

function isCompressible({ headers, status }: Response): boolean {
  return (
    status === 200 && !headers.has('content-encoding') && COMPRESSIBLE.test(headers.get('content-type') ?? '')
  );
}

async function compressed(response: Response, encoding: Encoding, slot: CompressionSlot): Promise<Response> {
  let isCompressed = false;
  try {
    const bytes = await response.bytes();
    const { headers, status } = response;
    if (bytes.byteLength < WORTHWHILE_BYTES || !slot.take(bytes.byteLength))
      return new Response(bytes, { status, headers });
    const body = await compress(bytes, encoding, 'fast');
    isCompressed = true;
    headers.set('content-encoding', encoding);
    headers.delete('content-length');
    const etag = headers.get('etag');
    // A strong validator promises identical bytes, and compressed bytes differ (RFC 9110, section 8.8.1).
    if (etag?.startsWith('"')) headers.set('etag', `W/${etag}`);
    return new Response(body, { status, headers });
  } finally {
    slot.release(isCompressed);
  }
}
