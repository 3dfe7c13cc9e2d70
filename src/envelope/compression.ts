import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

// By preference among encodings of equal weight: zstd and gzip are fast enough for any response; the brotli of the
// platform is slow.
const ENCODINGS = ['zstd', 'gzip', 'br'] as const;
type Encoding = (typeof ENCODINGS)[number];
const FORMATS = { zstd: 'zstd', gzip: 'gzip', br: 'brotli' } as const;
const COMPRESSIBLE =
  /^(?:text\/(?!event-stream)|application\/(?:[\w.-]+\+)?(?:json|javascript|xml)|image\/svg)/;
const WORTHWHILE_BYTES = 1024;
// The platform offers brotli only at its slowest level, where a megabyte keeps a core busy for a second.
const BROTLI_BYTES_MAX = 65_536;

/** Returns the best encoding that both sides support (RFC 9110, section 12.5.3), or null. */
export function negotiateEncoding(acceptEncoding: string | null): Encoding | null {
  if (acceptEncoding === null) return null;
  const weights = new Map<string, number>();
  for (const part of acceptEncoding.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    weights.set(name, q === undefined ? 1 : Number(q.slice(2)) || 0);
  }
  let best: Encoding | null = null;
  let bestWeight = 0;
  for (const encoding of ENCODINGS) {
    const weight = weights.get(encoding) ?? weights.get('*') ?? 0;
    if (weight > bestWeight) [best, bestWeight] = [encoding, weight];
  }
  return best;
}

/**
 * Compresses responses of routes marked as compressible. Event streams, small responses, and encoded responses pass
 * unchanged. Other routes are skipped: reading the body of a response costs more than compression saves.
 */
export function compression(): Middleware {
  return (next) => (request, exchange) => {
    if (!exchange.route.compressible) return next(request, exchange);
    const encoding = negotiateEncoding(request.headers.get('accept-encoding'));
    return settle(next(request, exchange), (response) => {
      if (!isCompressible(response)) return response;
      response.headers.append('vary', 'Accept-Encoding');
      return encoding === null || request.method === 'HEAD' ? response : compress(response, encoding);
    });
  };
}

function isCompressible({ headers, status }: Response): boolean {
  return (
    status === 200 && !headers.has('content-encoding') && COMPRESSIBLE.test(headers.get('content-type') ?? '')
  );
}

async function compress(response: Response, encoding: Encoding): Promise<Response> {
  const bytes = await response.arrayBuffer();
  const { headers, status } = response;
  const isTooSlow = encoding === 'br' && bytes.byteLength > BROTLI_BYTES_MAX;
  if (bytes.byteLength < WORTHWHILE_BYTES || isTooSlow) return new Response(bytes, { status, headers });
  // The platform supports zstd and brotli; its type declarations do not yet.
  const format = FORMATS[encoding] as CompressionFormat;
  const compressed = await new Response(
    new Blob([bytes]).stream().pipeThrough(new CompressionStream(format)),
  ).arrayBuffer();
  headers.set('content-encoding', encoding);
  headers.delete('content-length');
  const etag = headers.get('etag');
  // A strong validator promises identical bytes, and compressed bytes differ (RFC 9110, section 8.8.1).
  if (etag?.startsWith('"')) headers.set('etag', `W/${etag}`);
  return new Response(compressed, { status, headers });
}
