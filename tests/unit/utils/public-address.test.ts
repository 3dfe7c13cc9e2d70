import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { isPublicAddress } from '../../../src/utils/public-address.ts';

const RANGES_V4 = [
  ['0.0.0.0', '0.255.255.255'],
  ['10.0.0.0', '10.255.255.255'],
  ['100.64.0.0', '100.127.255.255'],
  ['127.0.0.0', '127.255.255.255'],
  ['169.254.0.0', '169.254.255.255'],
  ['172.16.0.0', '172.31.255.255'],
  ['192.0.0.0', '192.0.0.255'],
  ['192.0.2.0', '192.0.2.255'],
  ['192.88.99.0', '192.88.99.255'],
  ['192.168.0.0', '192.168.255.255'],
  ['198.18.0.0', '198.19.255.255'],
  ['198.51.100.0', '198.51.100.255'],
  ['203.0.113.0', '203.0.113.255'],
  ['224.0.0.0', '255.255.255.255'],
] as const;

const toNumber = (address: string) => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
const toText = (value: number) => [24, 16, 8, 0].map((bits) => (value >>> bits) & 255).join('.');
const toGroups = (value: number) => `${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
/** The same IPv4 address in every IPv6 form that a gateway or a network stack unwraps. */
const wrapped = (address: string) => {
  const value = toNumber(address);
  return [
    `::ffff:${address}`,
    `::ffff:${toGroups(value)}`,
    `0:0:0:0:0:FFFF:${toGroups(value).toUpperCase()}`,
    `64:ff9b::${address}`,
    `64:ff9b::${toGroups(value)}`,
    `2002:${toGroups(value)}::1`,
  ];
};

test.each(RANGES_V4)('%s to %s is not public, and its neighbors are', (first, last) => {
  for (const inside of [first, last]) {
    for (const form of [inside, ...wrapped(inside)])
      expect([form, isPublicAddress(form)]).toEqual([form, false]);
  }
  const isInRange = (value: number) =>
    RANGES_V4.some(([from, to]) => value >= toNumber(from) && value <= toNumber(to));
  for (const beside of [toNumber(first) - 1, toNumber(last) + 1]) {
    if (beside < 0 || beside > 0xffff_ffff || isInRange(beside)) continue;
    expect([toText(beside), isPublicAddress(toText(beside))]).toEqual([toText(beside), true]);
  }
});

test('an IPv4 address is public if and only if it is in none of the ranges, in every form', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), (value) => {
      const isInRange = RANGES_V4.some(([from, to]) => value >= toNumber(from) && value <= toNumber(to));
      for (const form of [toText(value), ...wrapped(toText(value))])
        expect([form, isPublicAddress(form)]).toEqual([form, !isInRange]);
    }),
  );
});

test.each([
  '::',
  '::1',
  '::127.0.0.1',
  '::8.8.8.8',
  '64:ff9b:1::808:808',
  '100::1',
  '2001::1',
  '2001:0:53aa:64c::1',
  '2001:1ff:ffff::1',
  '2001:db8::1',
  '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff',
  '3fff::1',
  '5f00::1',
  'fc00::1',
  'fd12:3456:789a::1',
  'fe80::1',
  'fe80::1%eth0',
  'febf::1',
  'fec0::1',
  'ff02::1',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '1fff:ffff::1',
  '4000::1',
])('%s is not public', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each([
  '2001:200::1',
  '2606:4700:4700::1111',
  '2a00:1450:4001:81b::200e',
  '2003::1',
  '3ffe:ffff::1',
  '2606:4700:4700::1.1.1.1',
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

test.each([
  '',
  'localhost',
  '1.2.3',
  '1.2.3.4.5',
  '256.1.1.1',
  '0x7f.1',
  '2130706433',
  '017700000001',
  '[2606:4700::1]',
  '8.8.8.8:443',
  '2606:4700:4700::1111%1',
])('%p is not an address, so it is not public', (text) => {
  expect(isPublicAddress(text)).toBe(false);
});

test('no text makes it throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.]{1,40}$/)), (text) => {
      expect(isPublicAddress(text)).toBeBoolean();
    }),
  );
});
