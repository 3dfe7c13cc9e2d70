import type { Outcome } from './movement.ts';

/** What a limit across accounts can bound: of each transfer, of an hour, of a day (UTC), and of all transfers ever. */
export const LIMIT_MAXIMA = [
  'transferAmount',
  'hourAmount',
  'hourCount',
  'dayAmount',
  'dayCount',
  'totalAmount',
] as const;
export type LimitMaximum = (typeof LIMIT_MAXIMA)[number];

/** The limit that refused a movement, and what is left of it. Only its own organization ever sees it. */
export interface ExceededLimit {
  readonly id: string;
  readonly name: string;
  /** Which of its maxima. */
  readonly maximum: LimitMaximum;
  readonly max: number;
  /** Null for that of each transfer. */
  readonly used: number | null;
  readonly remaining: number;
  /** When it counts from 0 again; null if never. */
  readonly resetsAt: string | null;
}

/** An outcome of an item, with the limit if one refused it. */
export interface ReadOutcome {
  readonly outcome: Outcome;
  readonly limit?: ExceededLimit;
}

const EXCEEDED = 'limit_exceeded ';

/** Reads an outcome as `post_movements` returns it, and stores it under the key of a request: with the limit as JSON. */
export function readOutcome(text: string): ReadOutcome {
  if (!text.startsWith(EXCEEDED)) return { outcome: text as Outcome };
  return { outcome: 'limit_exceeded', limit: JSON.parse(text.slice(EXCEEDED.length)) };
}
