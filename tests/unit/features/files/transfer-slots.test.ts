import { expect, test } from 'bun:test';
import { TransferSlots } from '../../../../src/features/files/transfer-slots.ts';
import { refusalOf } from '../../../support/refusal.ts';

test('concurrent transfers are limited, and a slot is released once', () => {
  const slots = new TransferSlots(2);
  const [first, second] = [slots.enter(), slots.enter()];
  const { code, retryAfterSeconds } = refusalOf(() => slots.enter());
  expect({ code, inFlight: slots.inFlight }).toEqual({ code: 'overloaded', inFlight: 2 });
  expect(retryAfterSeconds).toBeGreaterThan(0);
  first();
  first();
  expect(slots.inFlight).toBe(1);
  slots.enter();
  second();
  expect(slots.inFlight).toBe(1);
});
