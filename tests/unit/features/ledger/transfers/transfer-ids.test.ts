import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  createTransferIds,
  deriveFormerId,
  type TransferIds,
} from '../../../../../src/features/ledger/transfers/transfer-ids.ts';
import { UuidSchema } from '../../../../../src/http/schemas.ts';

const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function idsOf(secret: string): Promise<TransferIds> {
  const ids = createTransferIds(async () => Buffer.alloc(32, secret));
  await ids.ready();
  return ids;
}

describe('an ID derived from the key and the secret', () => {
  test('is a UUIDv8, the same every time', async () => {
    const { derive } = await idsOf('secret');
    const { id, formerId } = derive('owner', 'first', 0);
    expect(id).toMatch(UUID_V8);
    expect(derive('owner', 'first', 0)).toEqual({ id, formerId });
    // Hard-coded, because IDs that changed with a release would post a retry twice.
    expect(id).toBe('1def643d-3512-8d8c-88fc-c926e67b1d5b');
    expect(formerId).toBe('154b411a-dbd5-8b5c-bb43-0e48d49fbb83');
    expect(deriveFormerId('owner', 'first', 0)).toBe(formerId);
  });

  test('cannot be derived with another secret', async () => {
    const [one, other] = [await idsOf('secret'), await idsOf('another')];
    expect(one.derive('owner', 'first', 0).id).not.toBe(other.derive('owner', 'first', 0).id);
  });

  test('differs by owner, key, and position, without ambiguous boundaries', async () => {
    const { derive } = await idsOf('secret');
    const part = fc.string({ unit: fc.constantFrom('a', 'b', '0', '1'), minLength: 1, maxLength: 3 });
    const source = fc.tuple(part, part, fc.nat(11));
    fc.assert(
      fc.property(source, source, (one, other) => {
        const same = one.every((value, i) => value === other[i]);
        expect(derive(...one).id === derive(...other).id).toBe(same);
        expect(derive(...one).formerId === derive(...other).formerId).toBe(same);
      }),
      { numRuns: 500, seed: 13 },
    );
  });

  test('is a valid UUID of the API', async () => {
    const { id, formerId } = (await idsOf('secret')).derive('o', 'k', 999);
    expect([UuidSchema.safeParse(id).success, UuidSchema.safeParse(formerId).success]).toEqual([true, true]);
  });
});

describe('the secret', () => {
  test('is read once, however many requests wait for it', async () => {
    let reads = 0;
    const ids = createTransferIds(async () => Buffer.alloc(32, String(++reads)));
    await Promise.all([ids.ready(), ids.ready()]);
    expect(ids.ready()).toBeNull();
    expect(reads).toBe(1);
  });

  test('is read again after a failure, and nothing is derived without it', async () => {
    let reads = 0;
    const ids = createTransferIds(async () => {
      if (++reads === 1) throw new Error('unavailable');
      return Buffer.alloc(32, 1);
    });
    await expect(ids.ready()!).rejects.toThrow('unavailable');
    expect(() => ids.derive('owner', 'key', 0)).toThrow('was not read');
    await ids.ready();
    expect(ids.derive('owner', 'key', 0).id).toMatch(UUID_V8);
  });
});
