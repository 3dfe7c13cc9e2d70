import { describe, expect, test } from 'bun:test';
import { clientAddress } from '../../../src/envelope/client-address.ts';

const PROXY = '10.0.0.1';
const CLIENT = '203.0.113.9';

const addressOf = clientAddress(['10.0.0.0/8', 'fd00::/8']);
const via = (headers: Record<string, string>, peer = PROXY) => addressOf(new Headers(headers), peer);
const listed = (list: string) => via({ 'X-Forwarded-For': list });
const described = (list: string) => via({ Forwarded: list });

describe('the address of a client', () => {
  test('is the one that connects, whatever it sends, unless that is a trusted proxy', () => {
    for (const headers of [{}, { 'X-Forwarded-For': '6.6.6.6' }, { Forwarded: 'for=6.6.6.6' }]) {
      expect(via(headers, CLIENT)).toBe(CLIENT);
      expect(clientAddress([])(new Headers(headers), PROXY)).toBe(PROXY);
    }
    expect(via({}, '::ffff:203.0.113.9')).toBe(CLIENT);
  });

  test('is the last one that a trusted proxy was connected from, and not what the client wrote before', () => {
    expect(listed(CLIENT)).toBe(CLIENT);
    expect(listed(`6.6.6.6, ${CLIENT}`)).toBe(CLIENT);
    expect(listed(`6.6.6.6,${CLIENT},10.0.0.7 , 10.1.0.8`)).toBe(CLIENT);
    expect(described(`for=6.6.6.6, for=${CLIENT};proto=https, for=10.0.0.7`)).toBe(CLIENT);
    expect(via({ 'X-Forwarded-For': CLIENT }, '::ffff:10.0.0.1')).toBe(CLIENT);
    expect(via({ 'X-Forwarded-For': CLIENT }, 'fd00::1')).toBe(CLIENT);
  });

  test('is that of the proxy that names nobody', () => {
    expect(via({})).toBe(PROXY);
    for (const list of ['', 'unknown', `6.6.6.6, unknown`, `6.6.6.6,`, '999.1.1.1', '6.6.6.6, _hidden'])
      expect({ list, address: listed(list) }).toEqual({ list, address: PROXY });
    expect(listed('6.6.6.6, unknown, 10.0.0.7')).toBe('10.0.0.7');
    for (const list of ['for=unknown', 'for=6.6.6.6, for=_hidden', 'proto=https', 'for=6.6.6.6, by=10.0.0.1'])
      expect({ list, address: described(list) }).toEqual({ list, address: PROXY });
  });

  test('is the first one if all of them are trusted', () => {
    expect(listed('10.9.9.9, 10.0.0.7')).toBe('10.9.9.9');
  });

  test('is read without its port, and in one form', () => {
    expect(listed(`${CLIENT}:4711`)).toBe(CLIENT);
    expect(listed('[2001:DB8::1]:4711')).toBe('2001:db8::1');
    expect(listed('2001:DB8::0:1')).toBe('2001:db8::1');
    expect(listed(`::ffff:${CLIENT}`)).toBe(CLIENT);
    expect(described('For="[2001:db8::1]:4711"')).toBe('2001:db8::1');
    expect(described(`by=10.0.0.1; for="${CLIENT}:80" ;host=a`)).toBe(CLIENT);
  });

  test('cannot be replaced by quotes that the client opens, or by what it asks for', () => {
    for (const forged of ['for="', 'for="6.6.6.6', '"', 'for=6.6.6.6;host="\\"'])
      expect(described(`${forged}, for=${CLIENT}`)).toBe(CLIENT);
    for (const host of ['"x, for=6.6.6.6"', '"x;for=6.6.6.6"', '"x\\", for=6.6.6.6"', '"x\\\\"'])
      for (const element of [`for=${CLIENT};host=${host}`, `host=${host};for=${CLIENT}`])
        expect({ element, address: described(`for=6.6.6.6, ${element}`) }).toEqual({
          element,
          address: CLIENT,
        });
  });

  test('is that of the proxy if both headers are there and name different ones: one is from the client', () => {
    expect(via({ 'X-Forwarded-For': CLIENT, Forwarded: 'for=6.6.6.6' })).toBe(PROXY);
    expect(via({ 'X-Forwarded-For': '6.6.6.6', Forwarded: `for=${CLIENT}` })).toBe(PROXY);
    expect(via({ 'X-Forwarded-For': CLIENT, Forwarded: 'garbage' })).toBe(PROXY);
    expect(via({ 'X-Forwarded-For': CLIENT, Forwarded: `for=6.6.6.6, for="${CLIENT}:1"` })).toBe(CLIENT);
  });

  test('is found within a bounded number of hops, and in linear time', () => {
    const hops = Array.from({ length: 100 }, (_, hop) => `10.0.1.${hop}`);
    expect(listed(`6.6.6.6, ${hops.join(', ')}`)).toBe('10.0.1.68');
    const startMs = performance.now();
    described(`${'"\\'.repeat(500_000)}`);
    described(`for=1.2.3.4;${'host="\\\\;'.repeat(100_000)}`);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });
});
