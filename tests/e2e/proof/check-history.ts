import type { HistoryLine, ReadValue, RecordedHistory } from './history.ts';

/** A call with the interval in which it took effect. Without a known end it may have at any later time. */
interface Interval {
  readonly line: HistoryLine;
  readonly startNs: number;
  readonly endNs: number;
  /** What comes before it in the order of an account. */
  readonly after: Interval[];
}

/** How many calls were compared, and what contradicts that all took effect one after the other, each while it ran. */
export interface HistoryCheck {
  readonly compared: number;
  readonly lost: number;
  readonly violations: readonly string[];
}

/**
 * Checks that a history is strictly serializable (Herlihy and Wing, Linearizability, 1990; Papadimitriou, The
 * Serializability of Concurrent Database Updates, 1979). The ledger numbers the transfers of each account, and a read
 * has the number of the last one, so the order is known and need not be searched for: each call gets the earliest moment
 * that its start and all calls before it allow, and that must not be after its end.
 */
export function checkHistory({ accountIds, lines, transfersOf }: RecordedHistory): HistoryCheck {
  const violations: string[] = [];
  const intervals = intervalsOf(lines);
  const byReference = new Map(intervals.map((interval) => [interval.line.op, interval]));
  const ordered = new Set<Interval>();

  for (const [account, transfers] of transfersOf.entries()) {
    const chain: Interval[][] = [[]];
    const sums = [{ debitsPosted: 0, creditsPosted: 0 }];
    for (const transfer of transfers) {
      const interval = byReference.get(transfer.reference ?? '');
      if (interval === undefined) violations.push(`transfer ${transfer.id} was asked for by no call`);
      else if (interval.line.type === 'fail') violations.push(`${interval.line.op} failed and took effect`);
      chain.push(interval === undefined ? [] : [interval]);
      const last = sums.at(-1)!;
      const isDebit = transfer.debitAccountId === accountIds[account];
      sums.push({
        debitsPosted: last.debitsPosted + (isDebit ? transfer.amount : 0),
        creditsPosted: last.creditsPosted + (isDebit ? 0 : transfer.amount),
      });
    }
    for (const interval of intervals) {
      const { line } = interval;
      if (line.call.f !== 'read' || line.call.account !== account || line.type !== 'ok') continue;
      const { version, debitsPosted, creditsPosted } = line.value as ReadValue;
      const expected = sums[version];
      if (JSON.stringify({ debitsPosted, creditsPosted }) !== JSON.stringify(expected))
        violations.push(
          `${line.op} read ${debitsPosted} and ${creditsPosted} at version ${version} of account ${account}, which has ${JSON.stringify(expected)}`,
        );
      chain[version]?.push(interval);
    }
    link(chain, ordered);
  }
  violations.push(...contradictionsOf(ordered));
  const moved = new Set(transfersOf.flat().map(({ reference }) => reference));
  const lost = intervals.filter(
    ({ line: { type, call, op } }) =>
      type === 'ok' && (call.f === 'transfer' || call.f === 'post') && !moved.has(op),
  );
  for (const { line } of lost) violations.push(`${line.op} was acknowledged and is missing`);
  return { compared: ordered.size, lost: lost.length, violations };
}

function intervalsOf(lines: readonly HistoryLine[]): Interval[] {
  const starts = new Map<string, number>();
  const intervals: Interval[] = [];
  for (const line of lines) {
    if (line.type === 'invoke') starts.set(line.op, line.timeNs);
    else {
      const endNs = line.type === 'info' ? Number.POSITIVE_INFINITY : line.timeNs;
      intervals.push({ line, startNs: starts.get(line.op)!, endNs, after: [] });
    }
  }
  return intervals;
}

/** Puts each version's transfer after the calls of the version before, and its reads after it. */
function link(chain: readonly (readonly Interval[])[], ordered: Set<Interval>): void {
  let before: readonly Interval[] = [];
  for (const [version, [first, ...rest]] of chain.entries()) {
    if (first === undefined) continue;
    // At version 0 there are only reads.
    const reads = version === 0 ? [first, ...rest] : rest;
    if (version > 0) first.after.push(...before);
    for (const read of reads) if (version > 0) read.after.push(first);
    for (const each of [first, ...rest]) ordered.add(each);
    before = version === 0 ? reads : [first, ...reads];
  }
}

function contradictionsOf(ordered: ReadonlySet<Interval>): string[] {
  const found: string[] = [];
  const moments = new Map<Interval, number>();
  const open = new Set<Interval>();
  for (const root of ordered) {
    // Depth first without recursion: a chain is as long as the history.
    const stack = [root];
    while (stack.length > 0) {
      const at = stack.at(-1)!;
      if (moments.has(at)) {
        stack.pop();
        continue;
      }
      const missing = at.after.filter((earlier) => !moments.has(earlier));
      if (missing.length === 0) {
        const moment = at.after.reduce(
          (latest, earlier) => Math.max(latest, moments.get(earlier)!),
          at.startNs,
        );
        moments.set(at, moment);
        open.delete(at);
        if (moment > at.endNs)
          found.push(
            `${at.line.op} ended ${((moment - at.endNs) / 1e6).toFixed(3)} ms before something that it comes after began`,
          );
        stack.pop();
      } else if (open.has(at)) {
        found.push(`${at.line.op} comes before itself`);
        moments.set(at, at.startNs);
      } else {
        open.add(at);
        stack.push(...missing);
      }
    }
  }
  return found;
}
