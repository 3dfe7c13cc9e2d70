import { describe, expect, test } from 'bun:test';
import { Exchange } from '../../../src/envelope/exchange.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { routeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';

const PERMITS = 8;
const LARGE_BYTES = 1 << 30;
const SHED = routeOf({ index: 0, tier: 'critical' });
const SPARED = routeOf({ index: 1, tier: 'critical', sheddable: false });

/** An admission control with requests in flight, each of another owner, whose bodies have not arrived. */
function withInFlight(count: number, route = SHED) {
  const admission = new AdmissionControl({
    permits: new StaticShare(PERMITS, 1, PERMITS),
    routes: [SHED, SPARED],
    loop: new LoopLimit(() => 0),
    keyIdOf: () => null,
    ownerOf: () => null,
    refuse: (reason) => new Error(reason),
    nowMs: () => 0,
  });
  const exchanges = Array.from({ length: count }, (_, i) => {
    const request = new Request('http://atlas.test/things');
    const exchange = new Exchange(request, route, 0);
    exchange.principal = principalOf(`owner ${i}`);
    expect(admission.admit(request, exchange)).toBeNull();
    return exchange;
  });
  return { admission, exchanges };
}

describe('bodies that have not arrived', () => {
  test('are not counted while half of the permits are free', () => {
    const { admission, exchanges } = withInFlight(PERMITS / 2);
    for (const exchange of exchanges) expect(admission.expectBody(exchange, 10)).toBeNull();
    expect(exchanges.map(({ isArriving }) => isArriving)).toEqual([false, false, false, false]);
  });

  test('have at most half of the permits as soon as fewer are free, until they arrive', () => {
    const { admission, exchanges } = withInFlight(PERMITS);
    const refused = () => exchanges.filter((exchange) => admission.expectBody(exchange, 10) !== null);
    const left = refused();
    expect(exchanges.filter(({ isArriving }) => isArriving)).toHaveLength(PERMITS / 2);
    expect(left.map((exchange) => admission.expectBody(exchange, 10)?.message)).toEqual(
      left.map(() => 'share'),
    );
    const [arriving] = exchanges.filter(({ isArriving }) => isArriving);
    expect(admission.begin(arriving!)).toBeNull();
    expect(admission.expectBody(left[0]!, 10)).toBeNull();
    expect(admission.expectBody(left[1]!, 10)?.message).toBe('share');
  });

  test('are refused if they are large, and another one has all that large ones may have', () => {
    const { admission, exchanges } = withInFlight(2);
    const [first, second] = exchanges;
    expect(admission.reserve(first!, LARGE_BYTES)).toBeNull();
    expect(admission.expectBody(second!, LARGE_BYTES)?.message).toBe('share');
    expect(admission.expectBody(second!, 10)).toBeNull();
    admission.release(first!, 200);
    expect(admission.expectBody(second!, LARGE_BYTES)).toBeNull();
  });

  test('of a route that is never shed are neither counted nor refused', () => {
    const { admission, exchanges } = withInFlight(PERMITS, SPARED);
    for (const exchange of exchanges) {
      expect(admission.expectBody(exchange, LARGE_BYTES)).toBeNull();
      expect(admission.expectChunks(exchange)).toBeNull();
      expect(admission.reserve(exchange, LARGE_BYTES)).toBeNull();
    }
    expect(exchanges.some(({ isArriving, chunks }) => isArriving || chunks !== null)).toBe(false);
  });

  test('in chunks are watched, and released with their request', () => {
    const { admission, exchanges } = withInFlight(1);
    const [exchange] = exchanges;
    expect(admission.expectChunks(exchange!)).toBeNull();
    expect(exchange!.chunks).not.toBeNull();
    admission.release(exchange!, 200);
  });
});
