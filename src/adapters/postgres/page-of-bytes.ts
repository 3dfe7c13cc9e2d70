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
  /** What can make a row large: an expression of columns of the source. */
  readonly document: Fragment;
  /** About how many bytes of JSON a row has besides. */
  readonly otherBytes: number;
  readonly bytesMax?: number;
}

/**
 * Returns a query for the first rows that fit, and one more if there is one: {@link takePage} drops it. PostgreSQL sums
 * up the sizes, so what does not fit is never sent. It first sums up the sizes as stored, perhaps compressed, which it
 * knows without reading the documents. A row that is too large by itself is returned alone. Order the result by `nth`.
 */
export function rowsWithin(sql: FragmentTag, rows: SizedRows): Fragment {
  const { source, order, document, otherBytes, bytesMax = PAGE_BYTES_MAX } = rows;
  // A size is never less than the stored one, so the first condition drops only what the second one would drop. After a
  // first row that is too large, the second is the one more. OFFSET 0 keeps the planner from computing sizes twice.
  return sql`
    SELECT * FROM (
      SELECT *, sum(size_bytes) OVER (ORDER BY nth ROWS UNBOUNDED PRECEDING) AS bytes_so_far FROM (
        SELECT *, ${otherBytes} + coalesce(greatest(stored_bytes, octet_length((${document})::text)), 0) AS size_bytes
        FROM (
          SELECT *, pg_column_size(${document}) AS stored_bytes, row_number() OVER in_order AS nth,
            sum(pg_column_size(${document})) OVER in_order AS stored_so_far
          FROM (${source}) every WINDOW in_order AS (ORDER BY ${order} ROWS UNBOUNDED PRECEDING)
        ) stored WHERE nth <= 2 OR coalesce(stored_so_far - stored_bytes, 0) <= ${bytesMax} OFFSET 0
      ) sized
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
