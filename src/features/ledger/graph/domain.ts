/** The longest path, in transfers. Each step can multiply what must be read. */
export const DEPTH_MAX = 6;

/** All transfers from one account to another that were read, together. Amounts are in minor units. */
export interface Flow {
  readonly amount: number;
  readonly transfers: number;
  readonly firstAt: string;
  readonly lastAt: string;
}

/** An account that another one has paid or was paid by; null where there was none. */
export interface Neighbor {
  readonly accountId: string;
  readonly isOwn: boolean;
  readonly sent: Flow | null;
  readonly received: Flow | null;
}

/** A flow between two accounts. */
export interface Edge extends Flow {
  readonly debitAccountId: string;
  readonly creditAccountId: string;
}

/** A way that money took: each edge starts where the last one ended, and no account comes twice. */
export interface Path {
  readonly edges: readonly Edge[];
}

/** What a search has read. `truncated`: there was more than it may read or return. */
export interface Search {
  readonly truncated: boolean;
  readonly transfersRead: number;
}

/**
 * The position in a list of neighbors. All its pages are about the transfers up to a version of the account, so that
 * they do not move while it is paid.
 */
export interface NeighborPosition {
  readonly version: number;
  /** Of the last neighbor: everything sent and received. It can exceed 2^53−1. */
  readonly total: bigint;
  readonly id: string;
}

/** Whose neighbors to list, and which of them. */
export interface NeighborSearch {
  readonly owner: string;
  readonly accountId: string;
  readonly after: NeighborPosition | null;
  /** Only transfers that were posted then or later; null for all. */
  readonly since: Date | null;
  readonly limit: number;
}

/** A page of neighbors. */
export interface NeighborPage extends Search {
  readonly neighbors: readonly Neighbor[];
  readonly next: NeighborPosition | null;
}

/** Which ways to find: cycles, if `from` is `to`. */
export interface WaySearch {
  readonly owner: string;
  readonly from: string;
  readonly to: string;
  readonly depthMax: number;
  /** Only transfers that were posted then or later; null for all. */
  readonly since: Date | null;
}

/** A flow as PostgreSQL writes it into JSON. */
export interface FlowRow {
  readonly amount: number;
  readonly transfers: number;
  readonly firstAt: string;
  readonly lastAt: string;
}

/** Returns a flow with times of milliseconds, as everywhere: JSON of PostgreSQL has microseconds. */
export function toFlow({ amount, transfers, firstAt, lastAt }: FlowRow): Flow {
  return { amount, transfers, firstAt: toIso(firstAt), lastAt: toIso(lastAt) };
}

/** Returns the time from which on transfers count, as PostgreSQL reads it. */
export function startOf({ since }: Pick<WaySearch, 'since'>): string {
  return since === null ? '-infinity' : since.toISOString();
}

const toIso = (timestamp: string) => new Date(timestamp).toISOString();
