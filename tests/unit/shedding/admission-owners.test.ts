import { describe, expect, test } from 'bun:test';
import { Exchange } from '../../../src/envelope/exchange.ts';
import { AdmissionControl } from '../../../src/shedding/admission.ts';
import { LoopLimit } from '../../../src/shedding/loop-limit.ts';
import { COHORTS } from '../../../src/shedding/priority.ts';
import { StaticShare } from '../../../src/shedding/static-share.ts';
import { routeOf } from '../../support/exchange.ts';
import { principalOf } from '../../support/principal.ts';
import { enter } from '../../support/virtual-server.ts';

const UPDATE_MS = 50;
const CRITICAL = 2;

describe('an admission control', () => {
  const ROUTE = routeOf({ tier: 'critical' });

  function startAdmission(permits: StaticShare) {
    let nowMs = 0;
    const read: string[] = [];
    const admission = new AdmissionControl({
      permits,
      routes: [ROUTE],
      loop: new LoopLimit(() => 0),
      keyIdOf: (request) => request.headers.get('authorization'),
      ownerOf: (request) => {
        const owner = request.headers.get('authorization');
        read.push(owner ?? 'none');
        return owner;
      },
      refuse: (reason) => new Error(reason),
      nowMs: () => nowMs,
    });
    return {
      admission,
      read,
      pass: (ms: number) => {
        nowMs += ms;
      },
      send(owner: string | null) {
        const headers: Record<string, string> = owner === null ? {} : { authorization: owner };
        const request = new Request('http://atlas.test/things', { headers });
        const exchange = new Exchange(request, ROUTE, nowMs);
        if (owner !== null) exchange.principal = principalOf(owner);
        return enter(admission, request, exchange) === null ? exchange : null;
      },
    };
  }

  test('does not ask for owners while half of the permits are free', () => {
    const { send, pass, read, admission } = startAdmission(new StaticShare(100, 1, 100));
    const admitted = Array.from({ length: 50 }, () => {
      pass(UPDATE_MS);
      return send('a');
    });
    expect(read).toEqual([]);
    expect(admitted.every((exchange) => exchange?.permitUse === null)).toBe(true);
    for (const exchange of admitted) admission.release(exchange!, 200);
    pass(UPDATE_MS);
    send('a');
    expect(read).toEqual([]);
  });

  test('never admits more than the permits, however many owners have a part of them', () => {
    const { send, pass, admission } = startAdmission(new StaticShare(20, 1, 20));
    let admitted: Exchange[] = [];
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 60; i++) {
        const exchange = send(i % 3 === 0 ? `modest ${i % 7}` : 'greedy');
        if (exchange) admitted.push(exchange);
        expect(admission.stats().inFlight).toBeLessThanOrEqual(20);
      }
      pass(UPDATE_MS);
      for (const exchange of admitted.splice(0, 1 + (round % 20))) admission.release(exchange, 200);
    }
    for (const exchange of admitted.splice(0)) admission.release(exchange, 200);
    // Nothing of what has ended counts any more.
    for (let i = 0; i < 400; i++) {
      pass(UPDATE_MS);
      admission.stats();
    }
    admitted = Array.from({ length: 20 }, () => send('greedy')).filter((exchange) => exchange !== null);
    expect(admitted).toHaveLength(20);
  });

  test('that is not short refuses callers without a key for the cutoff of the cluster, but no modest owner', () => {
    const permits = new StaticShare(100, 1, 100);
    permits.cutoffAt = () => (CRITICAL * COHORTS + COHORTS - 1) as unknown as null;
    const { send, pass } = startAdmission(permits);
    send('a');
    pass(UPDATE_MS);
    expect(Array.from({ length: 20 }, (_, i) => send(`owner ${i}`))).not.toContain(null);
    expect(send(null)).toBeNull();
  });
});
