import { AtlasError } from '../../../errors.ts';
import { limitConcurrencyByOwner } from '../../../utils/concurrency.ts';
import {
  type Entry,
  type PastBalance,
  PDF_ENTRIES_MAX,
  type Period,
  type StatementChunk,
  type StatementHead,
  type StatementPosition,
  startOf,
  type TimeOrder,
} from './domain.ts';
import { renderPdf } from './pdf-thread.ts';
import type { Clocked, EntryList, HistoryRepository } from './repository.ts';

/** What one page of a statement has. */
export interface StatementPage {
  readonly head: StatementHead;
  readonly entries: readonly Entry[];
  /** Where the next page goes on; null at the end. */
  readonly next: StatementPosition | null;
}

/** A page to read after the first one: of the same statement, from a position on. */
export interface StatementCursor extends StatementPosition {
  readonly lastVersion: number;
}

/** The history of accounts. All throw `AtlasError`. */
export interface HistoryService {
  /** Null is now. Throws `moment_in_future`. */
  balance(
    owner: string,
    id: string,
    by: TimeOrder,
    atMs: number | null,
    signal?: AbortSignal,
  ): Promise<PastBalance>;
  /** Returns a page of entries, and whether there are more. An empty one does not say whether the account exists. */
  entries(
    owner: string,
    id: string,
    list: EntryList,
    signal?: AbortSignal,
  ): Promise<{ entries: readonly Entry[]; hasMore: boolean }>;
  /** Returns a statement without its entries. Throws `moment_in_future`. */
  head(owner: string, id: string, period: Period, signal?: AbortSignal): Promise<StatementHead>;
  page(
    owner: string,
    id: string,
    period: Period,
    cursor: StatementCursor | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<StatementPage>;
  /** Yields all entries of a statement in parts, each read by a query of its own. */
  read(owner: string, head: StatementHead, signal?: AbortSignal): AsyncGenerator<readonly Entry[]>;
  /** Renders a statement as PDF. Throws `statement_too_long`. */
  pdf(owner: string, head: StatementHead, signal?: AbortSignal): Promise<Uint8Array>;
}

// A query of about 10 ms, whose rows the worker parses in as long: payments go on in between.
const CHUNK_ENTRIES = 1000;
// All statements of a worker share so many connections. Their owners take turns.
const READS_MAX = 2;
// Parts without an entry that one page may go through: what they skip are entries with a time of effect of their own.
const EMPTY_CHUNKS_MAX = 20;

export function createHistoryService(repository: HistoryRepository): HistoryService {
  const inTurn = limitConcurrencyByOwner(READS_MAX);

  async function find(
    owner: string,
    id: string,
    period: Period,
    lastVersion: number | null,
    signal?: AbortSignal,
  ): Promise<StatementHead> {
    const head = await repository.statement(owner, id, period, lastVersion, signal);
    if (head === null) throw notFound(id);
    requirePast(head, [period.fromMs, period.toMs === null ? null : period.toMs - 1]);
    return head;
  }

  async function chunk(
    owner: string,
    head: StatementHead,
    [position, balance]: readonly [StatementPosition, number],
    limit: number,
    signal?: AbortSignal,
  ): Promise<StatementChunk> {
    const read = await inTurn(owner, () => {
      signal?.throwIfAborted();
      return repository.chunk(owner, head, position, balance, limit, signal);
    });
    if (read === null) throw notFound(head.accountId);
    return read;
  }

  async function* read(owner: string, head: StatementHead, signal?: AbortSignal) {
    let [position, balance] = [startOf(head), head.openingBalance];
    for (let isLast = false; !isLast; ) {
      const next = await chunk(owner, head, [position, balance], CHUNK_ENTRIES, signal);
      ({ position, balance, isLast } = next);
      if (next.entries.length > 0) yield next.entries;
    }
  }

  return {
    async balance(owner, id, by, atMs, signal) {
      const found = await repository.balance(owner, id, by, atMs, signal);
      if (found === null) throw notFound(id);
      requirePast(found, [atMs]);
      const { nowMs: _, ...balance } = found;
      return balance;
    },
    async entries(owner, id, list, signal) {
      const entries = await repository.entries(owner, id, list, signal);
      return { entries: entries.slice(0, list.limit), hasMore: entries.length > list.limit };
    },
    head: (owner, id, period, signal) => find(owner, id, period, null, signal),
    async page(owner, id, period, cursor, limit, signal) {
      const head = await find(owner, id, period, cursor?.lastVersion ?? null, signal);
      if (cursor !== null) requireWithin(head, cursor);
      let position = cursor ?? startOf(head);
      let balance =
        cursor === null ? head.openingBalance : await repository.balanceBefore(owner, head, cursor, signal);
      if (balance === null) throw notFound(id);
      const entries: Entry[] = [];
      for (let rounds = 0; rounds < EMPTY_CHUNKS_MAX; rounds++) {
        const next = await chunk(owner, head, [position, balance], limit - entries.length, signal);
        entries.push(...next.entries);
        ({ position, balance } = next);
        if (next.isLast) return { head, entries, next: null };
        if (entries.length === limit) break;
      }
      return { head, entries, next: position };
    },
    read,
    async pdf(owner, head, signal) {
      const entries: Entry[] = [];
      if (head.by === 'recorded') requireShort(head.upToVersion - head.firstVersion);
      for await (const part of read(owner, head, signal)) {
        entries.push(...part);
        requireShort(entries.length);
      }
      return renderPdf(owner, head, entries, signal);
    },
  };
}

function requireShort(entries: number): void {
  if (entries > PDF_ENTRIES_MAX)
    throw new AtlasError('statement_too_long', `The statement has more than ${PDF_ENTRIES_MAX} entries.`);
}

/** The period of a cursor may be another one than that of its request. */
function requireWithin({ firstVersion, upToVersion }: StatementHead, { version }: StatementCursor): void {
  if (version >= firstVersion && version <= upToVersion) return;
  const errors = [
    { pointer: '/query/cursor', detail: 'must be sent with the period that it was returned for' },
  ];
  throw new AtlasError('invalid_request', 'The cursor is not one of this statement.', { errors });
}

function requirePast({ nowMs }: Clocked<object>, moments: readonly (number | null)[]): void {
  if (moments.some((ms) => ms !== null && ms > nowMs))
    throw new AtlasError('moment_in_future', `It is ${new Date(nowMs).toISOString()} now.`);
}

function notFound(id: string): AtlasError {
  return new AtlasError('account_not_found', `Account ${id} does not exist.`);
}
