import { AtlasError } from '../../errors.ts';
import { matchesEtag } from '../../http/etag.ts';
import type { AtlasContext } from '../../http/input.ts';
import { refuseBody } from '../../http/refuse-body.ts';
import { digestOf } from './content-digest.ts';
import { allowsRange, readRange } from './content-range.ts';
import type { StoredFile } from './domain.ts';
import { attachmentOf } from './file-name.ts';
import type { FileService } from './service.ts';

// Whatever the bytes are, browsers must not run them, render them as this origin, or cache them without revalidation.
const SAFE_HEADERS = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'Cross-Origin-Resource-Policy': 'same-origin',
};
const BY_PROGRAM = 'private, no-cache, no-transform';
// What a person has read must not stay in a browser that others use.
const BY_COOKIE = 'no-store, no-transform';

/** Responds with the bytes of a file, or with a range of them (RFC 9110, sections 13 to 15). */
export async function respondWithContent(
  files: FileService,
  c: AtlasContext,
  file: StoredFile,
  caller: { readonly link: string | null; readonly keyId: string | null },
): Promise<Response> {
  refuseBody(c.req.raw);
  const { sizeBytes, sha256, name, mediaType } = file;
  const header = (field: string) => c.req.header(field) ?? null;
  const etag = `"${sha256}"`;
  const isByCookie = caller.link === null && header('authorization') === null;
  const caching = isByCookie ? BY_COOKIE : BY_PROGRAM;
  const common = { ETag: etag, 'Accept-Ranges': 'bytes', ...SAFE_HEADERS, 'Cache-Control': caching };
  if (matchesEtag(header('if-none-match'), etag)) return c.body(null, 304, common);
  const isHead = c.req.raw.method === 'HEAD';
  // Range does not apply to HEAD.
  const range =
    isHead || !allowsRange(header('if-range'), etag) ? null : readRange(header('range'), sizeBytes);
  if (range === 'unsatisfiable') {
    throw new AtlasError('range_not_satisfiable', `The file is ${sizeBytes} bytes long.`, {
      headers: { 'Content-Range': `bytes */${sizeBytes}` },
    });
  }
  const { first, last } = range ?? { first: 0, last: sizeBytes - 1 };
  const headers = {
    ...common,
    'Content-Type': mediaType,
    'Content-Length': `${last - first + 1}`,
    'Content-Disposition': attachmentOf(name),
    'Repr-Digest': digestOf(sha256),
    ...(range && { 'Content-Range': `bytes ${first}-${last}/${sizeBytes}` }),
  };
  if (isHead) return c.body(null, 200, headers);
  const source = { owner: file.owner, ...caller };
  const bytes = await files.read(source, file, { first, last }, c.env.signal, () => c.env.endSilence());
  // The download has its own timeouts for both sides.
  c.env.allowSilence();
  return c.body(bytes, range ? 206 : 200, headers);
}
