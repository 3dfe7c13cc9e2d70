import type { AgePosition } from '../age-cursor.ts';
import type { Filter, Order } from '../filter.ts';

/** What an owner looks for. */
export interface Search {
  readonly owner: string;
  /** Null: everything. */
  readonly filter: Filter | null;
  readonly order: Order;
  readonly after: AgePosition | null;
  readonly limit: number;
}

/** A page of what was found, by ID. It can be empty and not be the last. */
export interface Found {
  readonly ids: readonly string[];
  readonly next: AgePosition | null;
  /** How many items were compared with the filter. */
  readonly examined: number;
  /** All that was posted before this time was searched, and perhaps some of what was posted later. */
  readonly asOf: string;
}

/** What one search may cost. */
export interface SearchBounds {
  /** Items that it compares with the filter for a page. */
  readonly examinedMax: number;
  /** Entries of an index that it reads for them. */
  readonly entriesMax: number;
  readonly timeoutMs: number;
}
