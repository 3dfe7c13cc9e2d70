import { createHmac, timingSafeEqual } from 'node:crypto';
import { AtlasError } from '../../errors.ts';
import { LINK_SECONDS_MAX, type OpenedLink } from './object-store.ts';

const SHA256 = /^[0-9a-f]{64}$/;
const WHOLE_NUMBER = /^(?:0|[1-9]\d{0,15})$/;

/** The path under which Atlas serves objects to whoever has a link. */
export const OBJECTS_PATH = '/v1/objects/';

/** Makes links of Atlas to objects, and reads them. */
export interface SignedLinks {
  /** The path and query of a link; everything in it is signed. */
  sign(what: OpenedLink, expiresSeconds: number): string;
  /** What the link allows. Throws `link_invalid` when it expired, was changed, or is for another method or key. */
  open(method: string, key: string, query: URLSearchParams): OpenedLink;
}

/**
 * Links signed with HMAC-SHA256, as the presigned URLs of S3 are: whoever has one needs no key, and can do what it says
 * and nothing else until it expires.
 */
export function signedLinks(secret: Uint8Array, now: () => number = Date.now): SignedLinks {
  const signatureOf = (fields: readonly string[]) =>
    createHmac('sha256', secret).update(JSON.stringify(fields)).digest();

  return {
    sign(what, expiresSeconds) {
      if (!(expiresSeconds >= 1 && expiresSeconds <= LINK_SECONDS_MAX))
        throw new RangeError(`a link lives from 1 to ${LINK_SECONDS_MAX} seconds, not ${expiresSeconds}`);
      const query = queryOf(what);
      query.set('expires', String(Math.floor(now() / 1000 + expiresSeconds)));
      query.set('signature', signatureOf(fieldsOf(what.method, what.key, query)).toString('hex'));
      return `${OBJECTS_PATH}${what.key}?${query}`;
    },
    open(method, key, query) {
      const given = Buffer.from(query.get('signature') ?? '', 'hex');
      const right = signatureOf(fieldsOf(method, key, query));
      if (given.length !== right.length || !timingSafeEqual(given, right)) throw invalid();
      if (!(Number(query.get('expires')) * 1000 > now())) throw invalid();
      return linkOf(method, key, query);
    },
  };
}

function queryOf(what: OpenedLink): URLSearchParams {
  return what.method === 'PUT'
    ? new URLSearchParams({ size: `${what.sizeBytes}`, sha256: what.sha256, type: what.mediaType })
    : new URLSearchParams({ disposition: what.disposition, type: what.mediaType });
}

/** All that is signed, in a fixed order. A parameter given twice is none that was signed. */
function fieldsOf(method: string, key: string, query: URLSearchParams): string[] {
  const signed = [...query].filter(([name]) => name !== 'signature').sort(([a], [b]) => (a < b ? -1 : 1));
  return [method, key, ...signed.flat()];
}

function linkOf(method: string, key: string, query: URLSearchParams): OpenedLink {
  const mediaType = query.get('type') ?? '';
  if (method === 'GET') return { method, key, mediaType, disposition: query.get('disposition') ?? '' };
  const [size = '', sha256 = ''] = [query.get('size') ?? '', query.get('sha256') ?? ''];
  if (method !== 'PUT' || !WHOLE_NUMBER.test(size) || !SHA256.test(sha256)) throw invalid();
  return { method, key, mediaType, sizeBytes: Number(size), sha256 };
}

function invalid(): AtlasError {
  return new AtlasError('link_invalid', 'The link has expired, was changed, or is for another request.');
}
