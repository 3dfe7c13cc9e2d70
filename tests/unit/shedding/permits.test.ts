import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { Permits } from '../../../src/shedding/permits.ts';
import { exchangeOf } from '../../support/exchange.ts';

const { exchange } = exchangeOf();
const permitsOf = (count: number) => new Permits(count, () => new Error('full'));

describe('permits', () => {
  test('are as many as there are, and no more', () => {
    const permits = permitsOf(2);
    expect([permits.admit(exchange), permits.admit(exchange)]).toEqual([null, null]);
    expect(permits.admit(exchange)).toEqual(new Error('full'));
    expect(permits.figures()).toEqual({ inFlight: 2, inFlightMax: 2, admitted: 2, refused: 1 });
  });

  test('can be used again once they are given back', () => {
    const permits = permitsOf(1);
    permits.admit(exchange);
    permits.admit(exchange);
    permits.release(exchange);
    expect(permits.admit(exchange)).toBeNull();
    expect(permits.figures()).toEqual({ inFlight: 1, inFlightMax: 1, admitted: 2, refused: 1 });
  });

  test('never exceed their number, in any order of coming and going', () => {
    const steps = fc.array(fc.boolean(), { maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), steps, (count, comings) => {
        const permits = permitsOf(count);
        let inside = 0;
        for (const coming of comings) {
          if (coming) {
            const admitted = permits.admit(exchange) === null;
            expect(admitted).toBe(inside < count);
            if (admitted) inside++;
          } else if (inside > 0) {
            permits.release(exchange);
            inside--;
          }
          expect(permits.figures().inFlight).toBe(inside);
        }
        const { admitted, refused } = permits.figures();
        expect(admitted + refused).toBe(comings.filter(Boolean).length);
      }),
      { numRuns: 100, seed: 8 },
    );
  });
});
