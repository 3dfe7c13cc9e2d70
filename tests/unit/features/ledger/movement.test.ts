import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  fingerprintOf,
  REFUSAL_DETAILS,
  sortMembers,
  TRANSFER_REFUSALS,
  type TransferOrder,
} from '../../../../src/features/ledger/movement.ts';
import { ledgerProblems } from '../../../../src/features/ledger/problems.ts';
import { httpProblems } from '../../../../src/http/problems.ts';

const ORDER: TransferOrder = {
  id: '0198c0de-0000-7000-8000-000000000001',
  debitAccountId: '0198c0de-0000-7000-8000-00000000000a',
  creditAccountId: '0198c0de-0000-7000-8000-00000000000b',
  amount: 1250,
  reference: 'rent',
  metadata: { a: '1', b: '2' },
};

describe('the fingerprint of a request', () => {
  const fingerprint = fingerprintOf('/v1/transfers', false, [ORDER]);

  test('is SHA-256 in hex', () => {
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
  });

  const changes: [string, string][] = [
    ['path', fingerprintOf('/v1/transfers/batch', false, [ORDER])],
    ['atomicity', fingerprintOf('/v1/transfers', true, [ORDER])],
    ['number of transfers', fingerprintOf('/v1/transfers', false, [ORDER, ORDER])],
    ['id', fingerprintOf('/v1/transfers', false, [{ ...ORDER, id: ORDER.debitAccountId }])],
    ['amount', fingerprintOf('/v1/transfers', false, [{ ...ORDER, amount: 1251 }])],
    ['reference', fingerprintOf('/v1/transfers', false, [{ ...ORDER, reference: null }])],
    ['metadata', fingerprintOf('/v1/transfers', false, [{ ...ORDER, metadata: { a: '1' } }])],
    [
      'direction',
      fingerprintOf('/v1/transfers', false, [
        { ...ORDER, debitAccountId: ORDER.creditAccountId, creditAccountId: ORDER.debitAccountId },
      ]),
    ],
  ];
  test.each(changes)('changes with the %s', (_, changed) => {
    expect(changed).not.toBe(fingerprint);
  });

  test('does not change with the order of the metadata', () => {
    const metadata = sortMembers({ b: '2', a: '1' });
    expect(fingerprintOf('/v1/transfers', false, [{ ...ORDER, metadata }])).toBe(fingerprint);
  });
});

describe('sorted members', () => {
  test('are the same members sorted by name', () => {
    const entries = fc.uniqueArray(fc.tuple(fc.string(), fc.string()), { selector: ([name]) => name });
    const shuffled = entries.chain((found) =>
      fc.tuple(fc.constant(found), fc.shuffledSubarray(found, { minLength: found.length })),
    );
    fc.assert(
      fc.property(shuffled, ([one, other]) => {
        const [a, b] = [one, other].map((found) => sortMembers(Object.fromEntries(found)));
        expect(JSON.stringify(a)).toBe(JSON.stringify(b));
        expect(a).toEqual(Object.fromEntries(one));
      }),
      { numRuns: 200, seed: 14 },
    );
  });
});

test('every refusal has a detail, and is a 409 or 422 over HTTP, or a 404 of what a path names', () => {
  const problems: Readonly<Record<string, { readonly status: number }>> = {
    ...ledgerProblems,
    ...httpProblems,
  };
  const named = ['hold_not_found', 'transfer_not_found'];
  for (const [code, detail] of Object.entries(REFUSAL_DETAILS)) {
    expect(detail).toEndWith('.');
    expect(named.includes(code) ? [404] : [409, 422]).toContain(problems[code]!.status);
  }
  expect(TRANSFER_REFUSALS.filter((code) => !(code in REFUSAL_DETAILS))).toEqual([]);
});
