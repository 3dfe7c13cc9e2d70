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
  test('refuses nothing while permits suffice', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 480, false);
    expect(cutoff.level).toBe(0);
  });

  test('refuses nothing while only something else than permits runs short', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 120, false);
    expect(cutoff.level).toBe(0);
  });

  test('leaves slightly more demand above it than can be served', () => {
    for (const served of [48, 120, 240, 360]) {
      const cutoff = new Cutoff();
      overload(cutoff, 50, 10, served);
      const above = (LEVELS - cutoff.level) * 10;
      expect(above).toBeGreaterThanOrEqual(served);
      expect(above).toBeLessThanOrEqual(served * 1.25 + 10);
    }
  });

  test('spares critical requests while a third of the load can be served', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, LEVELS * 10 * 0.3);
    expect(cutoff.level).toBeLessThanOrEqual(2 * COHORTS);
    expect(cutoff.level).toBeGreaterThan(COHORTS);
  });

  test('counts refused requests too, so that refusing does not move it', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 115);
    const before = cutoff.level;
    expect(before).toBeGreaterThan(0);
    overload(cutoff, 50, 10, 115, false);
    expect(cutoff.level).toBe(before);
  });

  test('falls to 0 as soon as the whole load is served', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 120);
    overload(cutoff, 50, 1, LEVELS, false);
    expect(cutoff.level).toBe(0);
  });

  test('ignores a handful of requests', () => {
    const cutoff = new Cutoff();
    for (let round = 0; round < 100; round++) {
      if (round % 10 === 0) cutoff.arrived(0);
      cutoff.update(SECONDS, true);
    }
    expect(cutoff.level).toBe(0);
  });

  test('is 0 without a history after a reset', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 50, 10, 120);
    expect(cutoff.level).toBeGreaterThan(0);
    cutoff.reset();
    expect([cutoff.level, cutoff.arrivalsPerSecond]).toEqual([0, 0]);
    cutoff.update(SECONDS, true);
    expect(cutoff.level).toBe(0);
  });

  test('knows nothing of what came before a reset, counted already or not', () => {
    for (const servedBefore of [360, 0]) {
      const [reset, fresh] = [new Cutoff(), new Cutoff()];
      overload(reset, 50, 10, servedBefore);
      for (let i = 0; i < 100; i++) reset.arrived(LEVELS - 1);
      for (let i = 0; i < 400; i++) reset.admitted();
      reset.reset();
      for (let round = 0; round < 3; round++) {
        for (const cutoff of [reset, fresh]) overload(cutoff, 1, 10, 100);
        expect([reset.level, reset.arrivalsPerSecond]).toEqual([fresh.level, fresh.arrivalsPerSecond]);
      }
    }
  });

  test('reports the arrivals per second', () => {
    const cutoff = new Cutoff();
    overload(cutoff, 100, 1, 10);
    expect(cutoff.arrivalsPerSecond).toBeCloseTo(LEVELS / SECONDS, 0);
  });
});
