import { TIERS, type Tier } from '../utils/tier.ts';

/**
 * Groups of callers inside a tier, by the key they use: when a tier cannot be served whole, some of it is served well.
 */
export const COHORTS = 16;
/** Levels from the first to go (0) to the last: tiers × cohorts (DAGOR, Zhou et al., SoCC 2018). */
export const LEVELS = TIERS.length * COHORTS;

/** Rank of each tier: the lowest is shed first. */
export const TIER_RANKS: Readonly<Record<Tier, number>> = Object.fromEntries(
  TIERS.map((tier, rank) => [tier, rank]),
) as Record<Tier, number>;

// Urgency of RFC 9218: 0 is the most urgent, 3 the default, 7 the least. More urgent than the default changes nothing.
const URGENCY = /(?:^|,)\s*u=([4-7])\s*(?:$|[,;])/;

/**
 * The rank that a request is treated with. Its route sets it; the caller may lower it with `Priority: u=4` or `u=5` (by
 * one tier) or `u=6` or `u=7` (to the lowest), and can never raise it.
 */
export function rankOf(tier: Tier, priority: string | null): number {
  const rank = TIER_RANKS[tier];
  if (priority === null) return rank;
  const urgency = URGENCY.exec(priority)?.[1];
  if (urgency === undefined) return rank;
  return Math.max(0, rank - (urgency < '6' ? 1 : 2));
}

/**
 * The cohort of a caller: a hash (FNV-1a) of the public id of its key, which stands in the token in the clear. Whoever
 * sends none is in the first to go. The key is not verified yet, so a made-up id only chooses among the cohorts. The
 * turn, such as the hour, moves everybody to another cohort, so that it is not always the same callers who go first.
 */
export function cohortOf(publicId: string | null, turn = 0): number {
  if (publicId === null) return 0;
  let hash = 0x811c9dc5 ^ turn;
  for (let i = 0; i < publicId.length; i++) hash = Math.imul(hash ^ publicId.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (COHORTS - 1);
}
