import { afterEach, expect, mock, spyOn, test } from 'bun:test';
import { createExpiry } from '../../../../../src/features/ledger/holds/expiry.ts';

afterEach(() => mock.restore());

/** Holds that are due, of which each step releases as many as it may, in 8 ms. */
function makeExpiry(due: number) {
  const did: string[] = [];
  let left = due;
  let clockMs = 0;
  spyOn(performance, 'now').mockImplementation(() => clockMs);
  spyOn(Bun, 'sleep').mockImplementation(async (ms) => void did.push(`payments for ${ms} ms`));
  const expiry = createExpiry({
    async expire(holdsMax) {
      const step = Math.min(left, holdsMax);
      left -= step;
      clockMs += 8;
      did.push(`${step} holds`);
      return step;
    },
    overdueSeconds: async () => (due > 0 ? 3 : 0),
    onExpired: () => {},
  });
  return { did, expiry };
}

test('payments have as much time as the release of expired holds takes, after each step', async () => {
  const { did, expiry } = makeExpiry(450);
  await expiry.run();
  expect(did).toEqual(['200 holds', 'payments for 8 ms', '200 holds', 'payments for 8 ms', '50 holds']);
  expect(expiry.stats()).toEqual({ expired: 450, overdueSeconds: 3 });
});

test('nothing is done while nothing is due', async () => {
  const { did, expiry } = makeExpiry(0);
  await expiry.run();
  expect(did).toEqual([]);
});
