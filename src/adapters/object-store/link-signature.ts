import { createHmac, timingSafeEqual } from 'node:crypto';
import { AtlasError } from '../../errors.ts';
import { LINK_SECONDS_MAX, type OpenedLink } from './object-store.ts';

const SHA256 = /^[0-9a-f]{64}$/;
const SIGNATURE = SHA256;
const WHOLE_NUMBER = /^(?:0|[1-9]\d{0,15})$/;

/** The path under which Atlas serves objects to the holders of links. */
const OBJECTS_PATH = '/v1/objects/';

/** Signs links of Atlas to objects, and verifies them. */
export interface SignedLinks {
  /** Returns the path and query of a link, all of which is signed. */
  sign(what: OpenedLink, expiresSeconds: number): string;
  /**
   * Returns what the link permits. Throws `link_invalid` if it expired, was altered, or is for another method or key.
   */
  open(method: string, key: string, query: URLSearchParams): OpenedLink;
}

/**
 * Links signed with HMAC-SHA256, like the presigned URLs of S3: a holder needs no credentials, and can do what the link
 * permits and nothing else until it expires.
 */
export function signedLinks(secret: Uint8Array, now: () => number = Date.now): SignedLinks {
  const signatureOf = (fields: readonly string[]) =>
    createHmac('sha256', secret).update(JSON.stringify(fields)).digest();

  return {
    sign(what, expiresSeconds) {
      if (!(expiresSeconds >= 1 && expiresSeconds <= LINK_SECONDS_MAX))
        throw new RangeError(`a link expires after 1 to ${LINK_SECONDS_MAX} seconds, not ${expiresSeconds}`);
      const query = queryOf(what);
      query.set('expires', String(Math.floor(now() / 1000 + expiresSeconds)));
      query.set('signature', signatureOf(fieldsOf(what.method, what.key, query)).toString('hex'));
      return `${OBJECTS_PATH}${what.key}?${query}`;
    },
    open(method, key, query) {
      const [given = '', ...others] = query.getAll('signature');
      // Only the form that was issued: a decoder would ignore case, and what follows the last digit.
      if (!SIGNATURE.test(given) || others.length > 0) throw invalid();
      const expected = signatureOf(fieldsOf(method, key, query));
      if (!timingSafeEqual(Buffer.from(given, 'hex'), expected)) throw invalid();
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

/** Returns everything that is signed, in a fixed order. Repeated parameters change it, so they break the signature. */
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
  return new AtlasError(
    'link_invalid',
    'The link has expired, was altered, or was issued for a different request.',
  );
}
