import { expect, spyOn, test } from 'bun:test';
import { TransferSlots } from '../../../../src/features/files/transfer-slots.ts';
import { refusalOf } from '../../../support/refusal.ts';
import { bytesRetainedOfOwners, FEW_BYTES } from '../../../support/retained-bytes.ts';

function slotsOf(max: number, perLinkMax = 2) {
  const refused = { worker: 0, owner: 0, link: 0 };
  const slots = new TransferSlots({ max, perLinkMax, what: 'uploads', refused });
  /** Takes slots until one is refused, and names the limit that was reached. */
  const takeAll = (owner: string, link: string | null = null) => {
    const taken: (() => void)[] = [];
    const before = { ...refused };
    for (let i = 0; i <= max; i++) {
      try {
        taken.push(slots.enter({ owner, link }));
      } catch {
        break;
      }
    }
    const limit = (['worker', 'owner', 'link'] as const).find((name) => refused[name] > before[name]);
    return { taken, limit };
  };
  return { slots, refused, takeAll };
}

test('concurrent transfers are limited, and a slot is released once', () => {
  const { slots, refused } = slotsOf(2);
  const [first, second] = ['a', 'b'].map((owner) => slots.enter({ owner, link: null }));
  const { code, message } = refusalOf(() => slots.enter({ owner: 'c', link: null }));
  expect({ code, inFlight: slots.inFlight }).toEqual({ code: 'overloaded', inFlight: 2 });
  expect(message).toBe('This worker already has 2 uploads in progress, which is the maximum.');
  expect(refused).toEqual({ worker: 1, owner: 0, link: 0 });
  first!();
  first!();
  expect(slots.inFlight).toBe(1);
  slots.enter({ owner: 'a', link: null });
  second!();
  expect(slots.inFlight).toBe(1);
});

test('one owner leaves slots to others, whatever it sends', () => {
  const { takeAll } = slotsOf(16);
  const [greedy, modest, another, late] = ['greedy', 'modest', 'another', 'late'].map((owner) =>
    takeAll(owner),
  );
  expect([greedy, modest, another, late].map((found) => found!.taken.length)).toEqual([8, 4, 2, 1]);
  expect([greedy!.limit, modest!.limit]).toEqual(['owner', 'owner']);
});

test('a link has a few slots, those of the owner of its file', () => {
  const { slots, refused, takeAll } = slotsOf(16);
  const { taken, limit } = takeAll('owner', 'link');
  expect({ count: taken.length, limit }).toEqual({ count: 2, limit: 'link' });
  expect(takeAll('owner').taken).toHaveLength(6);
  expect(takeAll('owner', 'another').limit).toBe('owner');
  taken[0]!();
  expect(takeAll('owner', 'link').taken).toHaveLength(1);
  expect([slots.inFlight, refused]).toEqual([8, { worker: 0, owner: 2, link: 2 }]);
});

test('a link that may have one transfer at a time has one, and transfers with a key are not of a link', () => {
  const { takeAll } = slotsOf(16, 1);
  expect(takeAll('a', 'link').taken).toHaveLength(1);
  expect(takeAll('a').taken).toHaveLength(7);
});

test('links without transfers are forgotten', () => {
  const { slots } = slotsOf(16);
  const visit = (link: string) => slots.enter({ owner: 'a', link })();
  expect(bytesRetainedOfOwners(visit)).toBeLessThan(FEW_BYTES);
});

test('those refused together retry at different times, 1 to 5 s later', () => {
  const { slots } = slotsOf(2);
  slots.enter({ owner: 'a', link: null });
  const random = spyOn(Math, 'random');
  const retryAfter = [0, 0.5, 0.999].map((value) => {
    random.mockReturnValueOnce(value);
    return refusalOf(() => slots.requireSlot({ owner: 'a', link: null })).retryAfterSeconds;
  });
  random.mockRestore();
  expect(retryAfter).toEqual([1, 3, 5]);
});

test('the refusal says who has how many, and what to do', () => {
  const { slots, takeAll } = slotsOf(16);
  takeAll('greedy');
  expect(refusalOf(() => slots.requireSlot({ owner: 'greedy', link: null })).message).toBe(
    'This owner already has 8 uploads in progress on this worker; the rest is for others. Wait until one of them ends, or cancel it.',
  );
});
