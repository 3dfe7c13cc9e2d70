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
    due: async (holdsMax) => Array.from({ length: Math.min(left, holdsMax) }, String),
    async expire({ length }) {
      left -= length;
      clockMs += 8;
      did.push(`${length} holds`);
      return length;
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

test('more than a round is released in further rounds, so that owners whose holds became due get their turn', async () => {
  const { did, expiry } = makeExpiry(2100);
  await expiry.run();
  expect(did.filter((each) => each.endsWith('holds'))).toEqual([
    ...Array.from({ length: 10 }, () => '200 holds'),
    '100 holds',
  ]);
});
