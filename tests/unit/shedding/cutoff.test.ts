import { describe, expect, test } from 'bun:test';
import { Cutoff } from '../../../src/shedding/cutoff.ts';
import { COHORTS, LEVELS } from '../../../src/shedding/priority.ts';

const SECONDS = 0.05;

/** Rounds of 50 ms in which `perLevel` requests arrive at every level and `served` of all are admitted. */
function overload(cutoff: Cutoff, rounds: number, perLevel: number, served: number, short = true): void {
  for (let round = 0; round < rounds; round++) {
    for (let level = 0; level < LEVELS; level++) for (let i = 0; i < perLevel; i++) cutoff.arrived(level);
    for (let i = 0; i < served; i++) cutoff.admitted();
    cutoff.update(SECONDS, short);
  }
}

describe('the cutoff', () => {
  test('refuses nobody while permits suffice', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 480, false);
    expect(cutoff.level).toBe(0);
  });

  test('leaves above it more than can be served, but not much more', () => {
    for (const served of [48, 120, 240, 360]) {
      const cutoff = new Cutoff();
      overload(cutoff, 50, 10, served);
      const above = (LEVELS - cutoff.level) * 10;
      expect(above).toBeGreaterThanOrEqual(served);
      expect(above).toBeLessThanOrEqual(served * 1.25 + 10);
    }
  });

  test('spares the critical while a third of all can be served', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, LEVELS * 10 * 0.3);
    expect(cutoff.level).toBeLessThanOrEqual(2 * COHORTS);
    expect(cutoff.level).toBeGreaterThan(COHORTS);
  });

  test('counts who is refused too, so that refusing does not change its mind', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 115);
    const before = cutoff.level;
    expect(before).toBeGreaterThan(0);
    overload(cutoff, 50, 10, 115, false);
    expect(cutoff.level).toBe(before);
  });

  test('falls to nobody as soon as all that comes is served', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 120);
    overload(cutoff, 50, 1, LEVELS, false);
    expect(cutoff.level).toBe(0);
  });

  test('draws nothing from a handful of requests', () => {
    const cutoff = new Cutoff();
    for (let round = 0; round < 100; round++) {
      if (round % 10 === 0) cutoff.arrived(0);
      cutoff.update(SECONDS, true);
    }
    expect(cutoff.level).toBe(0);
  });

  test('rests when the shortage is over: nobody is refused, and nothing of it is remembered', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 120);
    expect(cutoff.level).toBeGreaterThan(0);
    cutoff.reset();
    expect([cutoff.level, cutoff.arrivalsPerSecond]).toEqual([0, 0]);
    cutoff.update(SECONDS, true);
    expect(cutoff.level).toBe(0);
  });

  test('tells how many came in a second', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 100, 1, 10);
    expect(cutoff.arrivalsPerSecond).toBeCloseTo(LEVELS / SECONDS, 0);
  });
});
