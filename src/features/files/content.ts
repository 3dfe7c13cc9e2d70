import { AtlasError } from '../../errors.ts';
import type { AtlasContext } from '../../http/route.ts';
import { digestOf } from './content-digest.ts';
import { allowsRange, isKnown, readRange } from './content-range.ts';
import type { StoredFile } from './domain.ts';
import { attachmentOf } from './file-name.ts';
import type { FileService } from './service.ts';

// Whatever the bytes are, no browser runs them, shows them on behalf of this origin, or keeps them unasked.
const HARMLESS = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'private, no-cache, no-transform',
};

/** Answers the bytes of a file, or a part of them (RFC 9110, sections 13 to 15). */
export async function answerContent(
  files: FileService,
  c: AtlasContext,
  file: StoredFile,
): Promise<Response> {
  const { sizeBytes, sha256, name, mediaType } = file;
  const header = (field: string) => c.req.header(field) ?? null;
  const etag = `"${sha256}"`;
  const about = { ETag: etag, 'Accept-Ranges': 'bytes', ...HARMLESS };
  if (isKnown(header('if-none-match'), etag)) return c.body(null, 304, about);
  const isHead = c.req.raw.method === 'HEAD';
  // HEAD knows no ranges.
  const asked =
    isHead || !allowsRange(header('if-range'), etag) ? null : readRange(header('range'), sizeBytes);
  if (asked === 'unsatisfiable') {
    throw new AtlasError('range_not_satisfiable', `The file has ${sizeBytes} bytes.`, {
      headers: { 'Content-Range': `bytes */${sizeBytes}` },
    });
  }
  const { first, last } = asked ?? { first: 0, last: sizeBytes - 1 };
  const headers = {
    ...about,
    'Content-Type': mediaType,
    'Content-Length': `${last - first + 1}`,
    'Content-Disposition': attachmentOf(name),
    'Repr-Digest': digestOf(sha256),
    ...(asked && { 'Content-Range': `bytes ${first}-${last}/${sizeBytes}` }),
  };
  if (isHead) return c.body(null, 200, headers);
  const bytes = await files.read(file, { first, last }, c.env.signal, () => c.env.endSilence());
  // What bounds the silence of both sides is in the download.
  c.env.allowSilence();
  return c.body(bytes, asked ? 206 : 200, headers);
}
