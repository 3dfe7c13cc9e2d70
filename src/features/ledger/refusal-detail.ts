import type { ExceededLimit, LimitMaximum } from './limit.ts';
import { type ItemResult, REFUSAL_DETAILS, type Refusal } from './movement.ts';

const AMOUNT = 'in minor units';
const MAXIMA: Readonly<Record<LimitMaximum, string>> = {
  transferAmount: `${AMOUNT} for each transfer`,
  hourAmount: `${AMOUNT} per hour`,
  hourCount: 'transfers per hour',
  dayAmount: `${AMOUNT} per day`,
  dayCount: 'transfers per day',
  totalAmount: `${AMOUNT} in all`,
};

/** Returns the `detail` of a refused item: of a limit, which one it is and what is left of it. */
export function refusalDetail({ outcome, limit }: Pick<ItemResult, 'outcome' | 'limit'>): string {
  return limit === undefined ? REFUSAL_DETAILS[outcome as Refusal] : limitDetail(limit);
}

function limitDetail({ name, maximum, max, remaining, resetsAt }: ExceededLimit): string {
  const until = resetsAt === null ? '' : ` until ${resetsAt}`;
  const left = maximum === 'transferAmount' ? '' : `, of which ${remaining} remain${until}`;
  return `The limit ${JSON.stringify(name)} allows ${max} ${MAXIMA[maximum]}${left}.`;
}
