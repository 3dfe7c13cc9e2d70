import type { Entry, StatementChunk, StatementPosition } from './domain.ts';

/** An entry before it has a balance. */
export type OwnEntry = Omit<Entry, 'balance'>;

/** What was read of both parts of a statement by time of effect, from a position on. */
export interface Parts {
  /** As recorded; those with a time of effect of their own are `isEffective`, and in the other part. */
  readonly recorded: readonly (OwnEntry & { readonly isEffective: boolean })[];
  /** Whether `recorded` goes up to the end of the period. */
  readonly isRecordedLast: boolean;
  /** By time of effect. */
  readonly effective: readonly OwnEntry[];
  readonly isEffectiveLast: boolean;
}

/**
 * Merges both parts by time of effect, and by version where the times are equal. Stops where one of them was not read
 * on, since what comes next may be there.
 */
export function mergeEntries(
  { recorded, isRecordedLast, effective, isEffectiveLast }: Parts,
  from: StatementPosition,
  balanceBefore: number,
  limit: number,
): StatementChunk {
  const entries: Entry[] = [];
  let { version, effectiveMs, effectiveVersion } = from;
  let balance = balanceBefore;
  let r = 0;
  let e = 0;
  const add = (entry: OwnEntry) => {
    balance += entry.net;
    const { version: number, net, ...rest } = entry;
    entries.push({ version: number, net, balance, ...rest });
  };
  const chunk = (isLast: boolean): StatementChunk => ({
    entries,
    position: { version, effectiveMs, effectiveVersion },
    balance,
    isLast,
  });
  for (;;) {
    while (recorded[r]?.isEffective) version = recorded[r++]!.version;
    const own = recorded[r];
    const other = effective[e];
    if (own === undefined && !isRecordedLast) return chunk(false);
    if (other === undefined && !isEffectiveLast) return chunk(false);
    if (own === undefined && other === undefined) return chunk(true);
    if (entries.length === limit) return chunk(false);
    if (other === undefined || (own !== undefined && isBefore(own, other))) {
      const { isEffective: _, ...entry } = own!;
      add(entry);
      version = entry.version;
      r++;
    } else {
      add(other);
      effectiveMs = Date.parse(other.effectiveAt);
      effectiveVersion = other.version;
      e++;
    }
  }
}

function isBefore(left: OwnEntry, right: OwnEntry): boolean {
  // All times are texts of one form, which sort like the times.
  if (left.effectiveAt !== right.effectiveAt) return left.effectiveAt < right.effectiveAt;
  return left.version < right.version;
}
