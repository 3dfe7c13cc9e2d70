import type { ApiCaller } from './api-caller.ts';

/** What a page may hold: the bound, and what names, references and the envelope of its items may add. */
export const PAGE_BYTES_ABOUT = 1_048_576 + 131_072;

/** The pages of a list, from the first to the last. */
export interface PagesRead<T> {
  readonly items: readonly T[];
  readonly sizesBytes: readonly number[];
  readonly counts: readonly number[];
}

/** Follows `nextCursor` to the end of a list. `member` is where a page holds its items. */
export async function readPages<T>(atlas: ApiCaller, path: string, member: string): Promise<PagesRead<T>> {
  const [items, sizesBytes, counts]: [T[], number[], number[]] = [[], [], []];
  for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
    const separator = path.includes('?') ? '&' : '?';
    const response = await atlas.call('GET', cursor ? `${path}${separator}cursor=${cursor}` : path);
    const body = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${body}`);
    const page = JSON.parse(body) as Record<string, unknown>;
    items.push(...(page[member] as T[]));
    counts.push((page[member] as T[]).length);
    sizesBytes.push(Buffer.byteLength(body));
    cursor = page.nextCursor as string | null;
  }
  return { items, sizesBytes, counts };
}

/** Metadata of about this many bytes of JSON, which does not compress. Larger than what new items may have. */
export function metadataOf(bytes: number): Record<string, string> {
  const value = () => Buffer.from(crypto.getRandomValues(new Uint8Array(750))).toString('base64');
  return Object.fromEntries(Array.from({ length: Math.ceil(bytes / 1010) }, (_, i) => [`m${i}`, value()]));
}
