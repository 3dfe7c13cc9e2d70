import type { FileRecord } from './domain.ts';

const text = (description: string) => ({ description, schema: { type: 'string' as const } });

export const SHARED = { tag: 'Files', tier: 'default' } as const;
export const ETAG = { ETag: text('The version') };
export const LOCATION = { Location: text('Where the file is') };
export const NEXT = { Link: text('The next page, `rel="next"`') };
export const NOT_MODIFIED = { 304: { description: 'It is the one of If-None-Match' } };
const BYTES = { content: { '*/*': { schema: {} } } };

/** The responses of a route that delivers the bytes of a file. */
export const CONTENT_RESPONSES = {
  200: { description: 'The file', headers: ETAG, ...BYTES },
  206: { description: 'The part that was asked for', headers: ETAG, ...BYTES },
  ...NOT_MODIFIED,
};

/** Nothing of a file changes while it stays in a state. */
export function etagOf({ id, state }: FileRecord): string {
  return `"${state}-${id}"`;
}

export function toResource({ owner: _, ...file }: FileRecord) {
  return file;
}
