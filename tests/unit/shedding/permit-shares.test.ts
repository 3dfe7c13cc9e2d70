import { describe, expect, test } from 'bun:test';
import type { RequestSlots } from '../../../src/envelope/exchange.ts';
import { PermitShares } from '../../../src/shedding/permit-shares.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { TIERS, type Tier } from '../../../src/utils/tier.ts';
import { bytesRetainedOfOwners, FEW_BYTES } from '../../support/retained-bytes.ts';
import { serveVirtually } from '../../support/virtual-server.ts';

const UPDATE_MS = 50;
const NO_KEY = () => null;
const [NON_CRITICAL, DEFAULT, CRITICAL] = TIERS.keys().toArray() as [number, number, number];

describe('permits under an overload', () => {
  const PERMITS = 100;
  const SERVICE_MS = 50;
  const CAPACITY_PER_SECOND = (PERMITS * 1000) / SERVICE_MS;
  // In the first moments it is not known who uses the permits.
  const FROM_MS = 1000;
  const LENGTH_MS = 11_000;

  /** Each owner offers this many times its equal part. Returns what part of it was served, and of the permits used. */
  function serve(offered: Readonly<Record<string, number>>, tier: Tier = 'critical') {
    const owners = Object.entries(offered);
    const parts = owners.reduce((sum, [, part]) => sum + part, 0);
    const ownerOf = (random: () => number) => {
      let left = random() * parts;
      return owners.find(([, part]) => {
        left -= part;
        return left < 0;
      })![0];
    };
    const served = serveVirtually({
      phases: [{ untilMs: LENGTH_MS, perSecond: { [tier]: (CAPACITY_PER_SECOND / owners.length) * parts } }],
      bottleneck: { slots: Number.POSITIVE_INFINITY, serviceMs: () => SERVICE_MS },
      permits: new StaticShare(PERMITS, 1, PERMITS),
      ownerOf,
    }).filter(({ atMs }) => atMs >= FROM_MS);
    const success = owners.map(([owner]) => {
      const own = served.filter((one) => one.owner === owner);
      return own.filter(({ tookMs }) => tookMs !== null).length / own.length;
    });
    const usedMs = served.reduce((sum, { tookMs }) => sum + (tookMs ?? 0), 0);
    return { success, used: usedMs / (LENGTH_MS - FROM_MS) / PERMITS };
  }

  test.each([...TIERS])(
    'serve 99 %% of an owner that offers its part while another offers ten times as much: %s',
    (tier) => {
      const { success, used } = serve({ greedy: 10, modest: 1 }, tier);
      expect(success[1]).toBeGreaterThan(0.99);
      expect(success[0]).toBeGreaterThan(0.06);
      expect(used).toBeGreaterThan(0.8);
    },
  );

  test('serve 99 % of it whatever the cohort of its key, and nobody loses its part to another', () => {
    for (let i = 0; i < 8; i++)
      expect(serve({ greedy: 10, [`modest ${i}`]: 1 }).success[1]).toBeGreaterThan(0.99);
  });

  test('serve 99 % of an owner that sends little', () => {
    expect(serve({ greedy: 10, rare: 0.05 }).success[1]).toBeGreaterThan(0.985);
  });

  test('are divided equally among owners that want more than their part', () => {
    const { success, used } = serve({ a: 10, b: 10, c: 3, modest: 0.5 });
    expect(success[3]).toBeGreaterThan(0.99);
    const [a, b, c] = [success[0]! * 10, success[1]! * 10, success[2]! * 3] as const;
    expect(Math.min(a, b, c)).toBeGreaterThan(0.8);
    expect(Math.max(a, b, c)).toBeLessThan(1.5);
    expect(used).toBeGreaterThan(0.85);
  });

  test('are hardly fewer for an owner that is alone', () => {
    expect(serve({ greedy: 10 }).used).toBeGreaterThan(0.95);
  });
});

describe('the shares of permits', () => {
  /** Shares of 100 permits. Each owner holds some, for 50 ms at a time, and has as many requests refused as it holds. */
  function startShares(
    held: Readonly<Record<string, number>>,
    refused: readonly string[] = [],
    rank = DEFAULT,
  ) {
    const shares = new PermitShares(TIERS.length);
    const owners = Object.entries(held);
    const uses = new Map(owners.map(([owner]) => [owner, [] as RequestSlots[]]));
    const release = (owner: string) => {
      for (const use of uses.get(owner)!.splice(0)) use.release();
    };
    const pass = (updates: number) => {
      for (let i = 0; i < updates; i++) {
        for (const [owner, count] of owners) {
          release(owner);
          for (let nth = 0; nth < count; nth++) {
            shares.arrive(rank, owner, NO_KEY);
            uses.get(owner)!.push(shares.enter()!);
            if (refused.includes(owner)) shares.refuse();
          }
        }
        shares.update(UPDATE_MS, 100);
      }
    };
    pass(100);
    return {
      shares,
      pass,
      release,
      /** Whether a request fits into this many free permits. */
      fits: (owner: string | null, free: number, asRank = rank, keyIdOf: () => string | null = NO_KEY) => {
        shares.arrive(asRank, owner, keyIdOf);
        return shares.admits(free);
      },
      refuse: (owner: string, times: number) => {
        for (let i = 0; i < times; i++) {
          shares.arrive(rank, owner, NO_KEY);
          shares.refuse();
        }
        pass(1);
      },
    };
  }

  test('leave one of twenty or more permits to owners that have not been seen yet', () => {
    const { fits } = startShares({ greedy: 99 }, ['greedy']);
    expect([fits('greedy', 1), fits('new', 1)]).toEqual([false, true]);
  });

  test('leave nothing to others while only callers without a key are present', () => {
    const { shares, fits } = startShares({ '': 99 }, ['']);
    expect(fits(null, 1)).toBe(true);
    expect(shares.arrive(DEFAULT, null, NO_KEY)).toBe(false);
  });

  test('of the permits that a modest owner usually uses remain for it', () => {
    const { release, fits } = startShares({ modest: 30, greedy: 50 }, ['greedy']);
    release('modest');
    expect([fits('greedy', 30), fits('greedy', 35), fits('modest', 1)]).toEqual([false, true, true]);
  });

  test('of modest owners grow with every refusal of them, by two in an update and up to a third of the permits', () => {
    const { fits, refuse } = startShares({ modest: 10, greedy: 85 }, ['greedy']);
    const leastOf = () => Array.from({ length: 100 }, (_, i) => i).find((free) => fits('greedy', free))!;
    const before = leastOf();
    refuse('modest', 1);
    expect(leastOf()).toBe(before + 1);
    refuse('modest', 50);
    expect(leastOf()).toBe(before + 3);
    for (let i = 0; i < 300; i++) refuse('modest', 1);
    expect(leastOf()).toBeWithin(30, 36);
  });

  test('are of a tier: what an owner does in one tier does not count against it in another', () => {
    const { fits, shares } = startShares({ greedy: 80, modest: 10 }, ['greedy'], NON_CRITICAL);
    expect(fits('greedy', 1, CRITICAL)).toBe(true);
    expect(shares.arrive(CRITICAL, 'greedy', NO_KEY)).toBe(true);
  });

  test('of a tier are withheld from lower tiers, and not from higher ones', () => {
    const higher = startShares({ modest: 10 }, [], CRITICAL);
    const lower = startShares({ modest: 10, greedy: 80 }, ['greedy'], NON_CRITICAL);
    for (const { shares } of [higher, lower])
      for (let i = 0; i < 95; i++) {
        shares.arrive(DEFAULT, 'busy', NO_KEY);
        shares.enter();
      }
    higher.release('modest');
    lower.release('modest');
    expect([higher.fits('busy', 10, DEFAULT), lower.fits('busy', 10, DEFAULT)]).toEqual([false, true]);
  });

  test('admit a few keys that are not verified yet in each update', () => {
    const { fits, shares } = startShares({ '': 90, modest: 1 }, ['']);
    const invented = () =>
      Array.from({ length: 20 }, (_, i) => fits(null, 1, DEFAULT, () => `invented ${i}`)).filter(Boolean);
    expect(fits(null, 1)).toBe(false);
    expect(invented()).toHaveLength(8);
    expect(invented()).toHaveLength(0);
    shares.update(UPDATE_MS, 100);
    expect(invented()).toHaveLength(8);
  });

  test('admit no such keys any more once they hold a twentieth of the permits', () => {
    const { fits, pass, shares } = startShares({ modest: 90 });
    const held = Array.from({ length: 5 }, (_, i) => {
      pass(1);
      expect(fits(null, 1, DEFAULT, () => `invented ${i}`)).toBe(true);
      return shares.enter()!;
    });
    pass(1);
    expect(fits(null, 1, DEFAULT, () => 'another')).toBe(false);
    held[0]!.release();
    expect(fits(null, 1, DEFAULT, () => 'another')).toBe(true);
  });

  test('leave owners their part, however many callers without a verified key there are', () => {
    const { shares, release } = startShares({ '': 50, modest: 40 }, ['']);
    release('modest');
    const parts = Array.from({ length: 40 }, () => {
      const isWithin = shares.arrive(DEFAULT, 'modest', NO_KEY);
      shares.enter();
      return isWithin;
    });
    expect(parts).not.toContain(false);
    expect(shares.arrive(DEFAULT, null, NO_KEY)).toBe(false);
  });

  test('forget owners that have used nothing for a while', () => {
    const shares = new PermitShares(TIERS.length);
    const visit = (owner: string) => {
      shares.arrive(CRITICAL, owner, NO_KEY);
      shares.enter()!.release();
      for (let i = 0; i < 4; i++) shares.update(10_000, 100);
    };
    expect(bytesRetainedOfOwners(visit)).toBeLessThan(FEW_BYTES);
  });

  test('are of 1,024 owners at most: further ones are as one', () => {
    const shares = new PermitShares(TIERS.length);
    let nth = 0;
    const visit = (owner: string) => {
      shares.arrive(CRITICAL, owner, NO_KEY);
      shares.enter();
      if (++nth % 100 === 0) shares.update(UPDATE_MS, 100);
    };
    // The names of 1,024 owners are stored, of 2,000.
    expect(bytesRetainedOfOwners(visit)).toBeLessThan(1_700_000);
  });
});
