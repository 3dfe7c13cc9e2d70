import { expect, test } from 'bun:test';
import { TransferSlots } from '../../../../src/features/files/transfer-slots.ts';
import { refusalOf } from '../../../support/refusal.ts';

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
  const { slots } = slotsOf(2);
  const [first, second] = ['a', 'b'].map((owner) => slots.enter({ owner, link: null }));
  const { code, retryAfterSeconds } = refusalOf(() => slots.enter({ owner: 'c', link: null }));
  expect({ code, inFlight: slots.inFlight }).toEqual({ code: 'overloaded', inFlight: 2 });
  expect(retryAfterSeconds).toBeGreaterThan(0);
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

test('the refusal says who has how many, and what to do', () => {
  const { slots, takeAll } = slotsOf(16);
  takeAll('greedy');
  expect(refusalOf(() => slots.requireSlot({ owner: 'greedy', link: null })).message).toBe(
    'This owner already has 8 uploads in progress on this worker; the rest is for others. Wait until one of them ends, or cancel it.',
  );
});
