import { describe, expect, test } from 'bun:test';
import { DEMANDS, useOfCap } from './cap-use.ts';
import { PLANTED_BUGS, type PlantedBug } from './planted-bugs.ts';
import { simulate } from './simulate.ts';

const SEEDS = Array.from({ length: 400 }, (_, i) => i + 1);
const BUG_SEEDS_MAX = 2000;

/** Returns the first seed that reveals the bug, or null. */
function findBug(bug: PlantedBug): number | null {
  for (let seed = 1; seed <= BUG_SEEDS_MAX; seed++)
    if (simulate(seed, { bug }).violation !== null) return seed;
  return null;
}

describe('the lease protocol, simulated', () => {
  test('never has more in flight than the invariants allow, under any faults', () => {
    const outcomes = SEEDS.map((seed) => simulate(seed));
    expect(outcomes.filter(({ violation }) => violation !== null)).toEqual([]);
    const checks = (name: 'i1' | 'i2' | 'i3') => outcomes.reduce((sum, one) => sum + one.checks[name], 0);
    // Each invariant was checked often, so that none holds vacuously.
    for (const name of ['i1', 'i2', 'i3'] as const) expect(checks(name)).toBeGreaterThan(10_000);
  });

  test('stays within the cap without any excuse if nothing fails', () => {
    const outcomes = SEEDS.slice(0, 50).map((seed) => simulate(seed, { faultsMax: 0 }));
    expect(outcomes.filter(({ violation, wasExcused }) => violation !== null || wasExcused)).toEqual([]);
    expect(outcomes.every(({ checks }) => checks.i3 === 0)).toBe(true);
  });

  test('is deterministic per seed, and differs between seeds', () => {
    const hashes = SEEDS.slice(0, 20).map((seed) => simulate(seed).hash);
    expect(SEEDS.slice(0, 20).map((seed) => simulate(seed).hash)).toEqual(hashes);
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test.each(Object.keys(PLANTED_BUGS))('detects when %s', (name) => {
    expect(findBug(PLANTED_BUGS[name]!)).not.toBeNull();
  });

  test.each(Object.keys(DEMANDS))('uses the cap under three times the demand: %s', (demand) => {
    expect(useOfCap(demand, 'closed', 1)).toBeGreaterThanOrEqual(0.95);
  });
});
