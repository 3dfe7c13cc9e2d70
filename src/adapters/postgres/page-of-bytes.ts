import type { Fragment, FragmentTag } from './query.ts';

/** A page of a list ends before the item that would take it over this many bytes, but holds at least one item. */
export const PAGE_BYTES_MAX = 1_048_576;

/** A row of {@link rowsWithin}. */
export interface SizedRow {
  /** The sizes of this row and all before it. */
  readonly bytesSoFar: number;
}

/** Which rows to read, and how large they may be together. */
export interface SizedRows {
  /** A query with a LIMIT: one row more than the page may have. */
  readonly source: Fragment;
  /** The order of the page, by columns of the source. */
  readonly order: Fragment;
  /** The size of a row in bytes, from columns of the source. */
  readonly sizeBytes: Fragment;
  readonly bytesMax?: number;
}

/**
 * Returns a query for the first rows that fit, and one more if there is one: {@link takePage} drops it. PostgreSQL sums
 * up the sizes, so what does not fit is never sent. A row that is too large by itself is returned alone.
 */
export function rowsWithin(sql: FragmentTag, rows: SizedRows): Fragment {
  const { source, order, sizeBytes, bytesMax = PAGE_BYTES_MAX } = rows;
  // OFFSET 0 keeps the planner from computing each size twice. After a first row that is too large, the second one is
  // the one more.
  return sql`
    SELECT * FROM (
      SELECT *, sum(size_bytes) OVER in_order AS bytes_so_far, row_number() OVER in_order AS nth
      FROM (SELECT *, ${sizeBytes} AS size_bytes FROM (${source}) every OFFSET 0) sized
      WINDOW in_order AS (ORDER BY ${order} ROWS UNBOUNDED PRECEDING)
    ) summed WHERE nth <= 2 OR bytes_so_far - size_bytes <= ${bytesMax}`;
}

/** Returns the rows of a page, and whether there are more. Pass the limits that the rows were read with. */
export function takePage<R extends SizedRow>(
  rows: readonly R[],
  limit: number,
  bytesMax = PAGE_BYTES_MAX,
): { page: R[]; hasMore: boolean } {
  let count = Math.min(rows.length, limit);
  while (count > 1 && rows[count - 1]!.bytesSoFar > bytesMax) count--;
  return { page: rows.slice(0, count), hasMore: count < rows.length };
}
