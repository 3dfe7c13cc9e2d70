import type { FileRecord } from './domain.ts';
import { FILE_TYPES } from './file-type.ts';

const text = (description: string) => ({ description, schema: { type: 'string' as const } });

export const SHARED = { tag: 'Files', tier: 'default' } as const;
export const ETAG = { ETag: text('The version of the file') };
export const LOCATION = { Location: text('The path of the file') };
export const NOT_MODIFIED = { 304: { description: 'The file still has the ETag of If-None-Match' } };
// The type of the file. Generated clients read the first one, which is what all of them are.
const BYTES = {
  content: {
    'application/octet-stream': { schema: { type: 'string' as const, format: 'binary' } },
    ...Object.fromEntries(FILE_TYPES.map((type) => [type, { schema: {} }])),
  },
};

/** What routes that return the bytes of a file refuse with. */
export const CONTENT_REFUSALS = [
  'file_not_found',
  'file_incomplete',
  'range_not_satisfiable',
  'file_corrupt',
] as const;

const CONTENT = {
  ...ETAG,
  'Accept-Ranges': text('`bytes`'),
  'Content-Disposition': text('The name to save the file under'),
  'Repr-Digest': text('SHA-256 of the whole file (RFC 9530)'),
};
const RANGE = { 'Content-Range': text('The range that was sent, and the size of the file') };

/** The responses of routes that return the bytes of a file. */
export const CONTENT_RESPONSES = {
  200: { description: 'The bytes of the file', headers: CONTENT, ...BYTES },
  206: { description: 'The requested range', headers: { ...CONTENT, ...RANGE }, ...BYTES },
  ...NOT_MODIFIED,
};

/** The ETag of the metadata, which changes only with the state. */
export function etagOf({ id, state }: FileRecord): string {
  return `"${state}-${id}"`;
}

export function toResource({ owner: _, ...file }: FileRecord) {
  return file;
}
