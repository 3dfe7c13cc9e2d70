import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { inPostingOrder, type Versioned } from '../../../../../src/features/ledger/export/export-order.ts';

test('transfers of one time come out in an order in which both accounts number theirs without gaps', () => {
  const pair = fc
    .tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }))
    .filter(([a, b]) => a !== b);
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 60 }), fc.integer(), (pairs, seed) => {
      const versions = [0, 0, 0, 0, 0];
      const posted = pairs.map(
        ([debit, credit]): Versioned => ({
          debitAccountId: `${debit}`,
          creditAccountId: `${credit}`,
          debitVersion: ++versions[debit]!,
          creditVersion: ++versions[credit]!,
        }),
      );
      const shuffled = posted.toSorted((a, b) => hash(a, seed) - hash(b, seed));
      const seen = new Map<string, number>();
      for (const { debitAccountId, debitVersion, creditAccountId, creditVersion } of inPostingOrder(shuffled))
        for (const [account, version] of [
          [debitAccountId, debitVersion],
          [creditAccountId, creditVersion],
        ] as const) {
          expect(version).toBe((seen.get(account) ?? 0) + 1);
          seen.set(account, version);
        }
      expect(inPostingOrder(shuffled)).toHaveLength(posted.length);
    }),
  );
});

function hash({ debitVersion, creditVersion, debitAccountId }: Versioned, seed: number): number {
  return Math.imul(debitVersion * 31 + creditVersion * 17 + Number(debitAccountId), seed | 1) | 0;
}
