import type { Limit } from '../limit-content.ts';

/** A row of `limits`, with what is used now. */
export interface LimitRow
  extends Pick<
    Limit,
    | 'id'
    | 'name'
    | 'ledger'
    | 'scope'
    | 'accountCount'
    | 'counts'
    | 'countsInternal'
    | 'setBy'
    | 'maxima'
    | 'revision'
  > {
  readonly hourStartsAt: Date;
  readonly hourAmount: number;
  readonly hourCount: number;
  readonly dayStartsAt: Date;
  readonly dayAmount: number;
  readonly dayCount: number;
  readonly totalAmount: number;
  readonly createdAt: Date;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export function toLimit(row: LimitRow): Limit {
  const { id, name, ledger, scope, accountCount, counts, countsInternal, setBy, maxima, revision } = row;
  const windowOf = (startsAt: Date, lengthMs: number, amount: number, count: number) => ({
    startsAt: startsAt.toISOString(),
    resetsAt: new Date(startsAt.getTime() + lengthMs).toISOString(),
    amount,
    count,
  });
  return {
    ...{ id, name, ledger, scope, accountCount, counts, countsInternal, setBy, maxima },
    usage: {
      hour: windowOf(row.hourStartsAt, HOUR_MS, row.hourAmount, row.hourCount),
      day: windowOf(row.dayStartsAt, DAY_MS, row.dayAmount, row.dayCount),
      total: { amount: row.totalAmount },
    },
    createdAt: row.createdAt.toISOString(),
    revision,
  };
}
