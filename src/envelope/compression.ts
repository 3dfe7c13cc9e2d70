import { settle } from '../utils/settle.ts';
import type { Middleware } from './exchange.ts';

// In the order of preference among encodings that the caller likes equally: zstd and gzip are fast enough for any
// answer, brotli as the platform offers it is slow and small.
const ENCODINGS = ['zstd', 'gzip', 'br'] as const;
type Encoding = (typeof ENCODINGS)[number];
const FORMATS = { zstd: 'zstd', gzip: 'gzip', br: 'brotli' } as const;
const COMPRESSIBLE =
  /^(?:text\/(?!event-stream)|application\/(?:[\w.-]+\+)?(?:json|javascript|xml)|image\/svg)/;
const WORTHWHILE_BYTES = 1024;
// The platform knows brotli only at its slowest: a megabyte would keep a core busy for a second.
const BROTLI_BYTES_MAX = 65_536;

/** The best encoding that both sides have (RFC 9110, section 12.5.3), or null for none. */
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
 * Compresses answers of routes that are marked as compressible. Event streams, small answers and what is encoded
 * already pass untouched. Other routes are never looked at: asking a response for its body costs more than it saves.
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
  // The platform knows zstd and brotli, its type declarations do not yet.
  const format = FORMATS[encoding] as CompressionFormat;
  const squeezed = await new Response(
    new Blob([bytes]).stream().pipeThrough(new CompressionStream(format)),
  ).arrayBuffer();
  headers.set('content-encoding', encoding);
  headers.delete('content-length');
  const etag = headers.get('etag');
  // A strong validator promises the same bytes, and these are others (RFC 9110, section 8.8.1).
  if (etag?.startsWith('"')) headers.set('etag', `W/${etag}`);
  return new Response(squeezed, { status, headers });
}
