import { TIERS, type Tier } from '../utils/tier.ts';

/** Groups of callers within a tier, by API key: if a tier cannot be served in full, some of it is served well. */
export const COHORTS = 16;
/** Levels, from the first to be shed (0) to the last: tiers × cohorts (DAGOR, Zhou et al., SoCC 2018). */
export const LEVELS = TIERS.length * COHORTS;

/** Rank of each tier: the lowest is shed first. */
export const TIER_RANKS: Readonly<Record<Tier, number>> = Object.fromEntries(
  TIERS.map((tier, rank) => [tier, rank]),
) as Record<Tier, number>;

// Urgency of RFC 9218: 0 is the most urgent, 3 the default, 7 the least. More urgent than the default changes nothing.
const URGENCY = /(?:^|,)\s*u=([4-7])\s*(?:$|[,;])/;

/**
 * Returns the rank of a request. Its route sets it; the caller may lower it with `Priority: u=4` or `u=5` (by one tier)
 * or `u=6` or `u=7` (to the lowest), but never raise it.
 */
export function rankOf(tier: Tier, priority: string | null): number {
  const rank = TIER_RANKS[tier];
  if (priority === null) return rank;
  const urgency = URGENCY.exec(priority)?.[1];
  if (urgency === undefined) return rank;
  return Math.max(0, rank - (urgency < '6' ? 1 : 2));
}

/**
 * Returns the cohort of a caller: a hash (FNV-1a) of the public id of its key, which the token carries in the clear.
 * Without a key it is 0, the first to be shed. The key is not verified yet, so a forged id only selects a cohort. The
 * turn, such as the hour, reassigns the cohorts, so that it is not always the same callers who are shed.
 */
export function cohortOf(publicId: string | null, turn = 0): number {
  if (publicId === null) return 0;
  let hash = 0x811c9dc5 ^ turn;
  for (let i = 0; i < publicId.length; i++) hash = Math.imul(hash ^ publicId.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 16)) & (COHORTS - 1);
}
