/**
 * The SLO tiers, from the first to be shed to the last: the index of a tier is its rank. Code that serves
 * the most important first reads the list from its end.
 */
export const TIERS = ['non-critical', 'default', 'critical'] as const;

/** How much a request or call matters when not all can be served. */
export type Tier = (typeof TIERS)[number];
