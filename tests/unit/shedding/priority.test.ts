import { describe, expect, test } from 'bun:test';
import { makeToken } from '../../../src/features/identity/token.ts';
import { COHORTS, cohortOf, LEVELS, rankOf, TIER_RANKS } from '../../../src/shedding/priority.ts';
import { TIERS } from '../../../src/utils/tier.ts';

describe('the rank of a request', () => {
  test.each(TIERS)('is that of its route by default: %s', (tier) => {
    expect(rankOf(tier, null)).toBe(TIER_RANKS[tier]);
    expect(TIERS[TIER_RANKS[tier]]).toBe(tier);
  });

  test.each([
    ['u=4', 1],
    ['u=5', 1],
    ['u=6', 0],
    ['u=7', 0],
    ['i, u=7', 0],
    ['u=7, i', 0],
    ['u=5;x=1', 1],
    [' u=7 ', 0],
  ])('is lowered by the caller with Priority: %s (RFC 9218)', (header, rank) => {
    expect(rankOf('critical', header)).toBe(rank);
  });

  test.each(['u=0', 'u=1', 'u=2', 'u=3', 'i', '', 'u', 'u=', 'u=8', 'u=-7', 'u=70', 'u=7.5', 'xu=7', 'U=7'])(
    'is unchanged with Priority: %p',
    (header) => {
      for (const tier of TIERS) expect(rankOf(tier, header)).toBe(TIER_RANKS[tier]);
    },
  );

  test('is never raised, and never falls below the lowest', () => {
    for (const tier of TIERS) {
      for (let urgency = 0; urgency <= 9; urgency++) {
        const rank = rankOf(tier, `u=${urgency}`);
        expect(rank).toBeGreaterThanOrEqual(0);
        expect(rank).toBeLessThanOrEqual(TIER_RANKS[tier]);
      }
    }
  });
});

describe('the cohort of a caller', () => {
  test('is the same for the same key', () => {
    const { id } = makeToken();
    expect(cohortOf(id)).toBe(cohortOf(`${id}`));
  });

  test.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['b', 0xe70c2de5],
    ['foobar', 0xbf9cf968],
  ])('is the same on hosts of all releases: of the published FNV-1a hash of %p', (id, hash) => {
    expect(cohortOf(id)).toBe(((hash ^ (hash >>> 16)) >>> 0) % COHORTS);
  });

  test('is one of sixteen, and keys are spread evenly over them', () => {
    const counts = new Array<number>(COHORTS).fill(0);
    const keys = 16_000;
    for (let i = 0; i < keys; i++) counts[cohortOf(`key${i}`)]!++;
    for (const count of counts) {
      expect(count).toBeGreaterThan((0.8 * keys) / COHORTS);
      expect(count).toBeLessThan((1.2 * keys) / COHORTS);
    }
  });

  test('is the first to be shed for callers without a key', () => {
    expect(cohortOf(null)).toBe(0);
  });

  test('never lifts a caller into the next tier', () => {
    expect(LEVELS).toBe(TIERS.length * COHORTS);
    for (let i = 0; i < 1000; i++) expect(cohortOf(`key${i}`)).toBeWithin(0, COHORTS);
  });
});
