import { describe, expect, test } from 'bun:test';
import {
  canonicalAddress,
  isInRange,
  networkOf,
  parseAddress,
  parseRange,
} from '../../../src/utils/ip-address.ts';

const isIn = (address: string, range: string) => isInRange(parseAddress(address)!, parseRange(range)!);

describe('a range of addresses', () => {
  test('contains those that share its prefix, of its family', () => {
    expect(isIn('10.255.0.1', '10.0.0.0/8')).toBe(true);
    expect(isIn('11.0.0.0', '10.0.0.0/8')).toBe(false);
    expect(isIn('10.1.2.3', '10.1.2.3')).toBe(true);
    expect(isIn('10.1.2.4', '10.1.2.3/32')).toBe(false);
    expect(isIn('192.168.1.255', '192.168.1.77/24')).toBe(true);
    expect(isIn('2001:db8:1::5', '2001:db8::/32')).toBe(true);
    expect(isIn('2001:db9::', '2001:db8::/32')).toBe(false);
    expect(isIn('::a00:1', '10.0.0.0/8')).toBe(false);
    expect(isIn('0.0.0.1', '::/96')).toBe(false);
  });

  test('is nothing else', () => {
    for (const text of ['', '10.0.0.0/', '10.0.0.0/33', '::/129', '10/8', 'a', '10.0.0.0/8/8', 'fe80::%1/64'])
      expect({ text, range: parseRange(text) }).toEqual({ text, range: null });
  });
});

describe('the canonical text of an address', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:0a00:0001', '10.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['10.0.0.1.', null],
    ['010.0.0.1', null],
    ['[::1]', null],
    ['localhost', null],
    ['', null],
  ])('of %p is %p', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });
});

test('one customer has one IPv4 address, or a /64 of IPv6 addresses', () => {
  expect(networkOf('2001:db8::1')).toBe(networkOf('2001:db8:0:0:ffff::'));
  expect(networkOf('2001:db8::1')).not.toBe(networkOf('2001:db8:0:1::1'));
  expect(networkOf('192.0.2.1')).not.toBe(networkOf('192.0.2.2'));
  // Of clients whose address is unknown.
  expect(networkOf('')).toBe('');
});
