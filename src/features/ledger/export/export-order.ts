/** What decides the order of transfers: both accounts number theirs without gaps. */
export interface Versioned {
  readonly debitAccountId: string;
  readonly creditAccountId: string;
  readonly debitVersion: number;
  readonly creditVersion: number;
}

/**
 * Returns transfers that were posted at the same time in an order in which both accounts could have posted them (Kahn,
 * Topological sorting of large networks, 1962).
 */
export function inPostingOrder<T extends Versioned>(transfers: readonly T[]): T[] {
  if (transfers.length < 2) return [...transfers];
  const ofAccount = new Map<string, { version: number; at: number }[]>();
  const add = (account: string, version: number, at: number) => {
    const list = ofAccount.get(account);
    if (list) list.push({ version, at });
    else ofAccount.set(account, [{ version, at }]);
  };
  for (const [at, { debitAccountId, debitVersion, creditAccountId, creditVersion }] of transfers.entries()) {
    add(debitAccountId, debitVersion, at);
    add(creditAccountId, creditVersion, at);
  }
  /** By transfer, how many of its accounts still have one before it; and those right after it. */
  const waitsFor = new Uint8Array(transfers.length);
  const next: number[][] = transfers.map(() => []);
  for (const list of ofAccount.values()) {
    list.sort((a, b) => a.version - b.version);
    for (let i = 1; i < list.length; i++) {
      waitsFor[list[i]!.at]!++;
      next[list[i - 1]!.at]!.push(list[i]!.at);
    }
  }
  const ordered: T[] = [];
  const ready = transfers.flatMap((_, at) => (waitsFor[at] === 0 ? [at] : []));
  // The loop appends to what it iterates over.
  for (const at of ready) {
    ordered.push(transfers[at]!);
    for (const after of next[at]!) if (--waitsFor[after]! === 0) ready.push(after);
  }
  return ordered;
}
