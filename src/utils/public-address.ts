import { type IpAddress, type IpRange, isInRange, parseAddress, parseRange } from './ip-address.ts';

// Special-purpose (IANA registries, RFC 6890) and multicast ranges.
const NOT_PUBLIC_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
].map(rangeOf);
// Everything outside 2000::/3 is refused, so these are only the exceptions within it.
const GLOBAL_V6 = rangeOf('2000::/3');
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '3fff::/20'].map(rangeOf);
// Addresses that embed an IPv4 address, with the number of bits below it. A gateway routes to it, so it decides.
const CARRIERS_V6 = [
  { range: rangeOf('::ffff:0:0/96'), bitsBelow: 0n },
  { range: rangeOf('64:ff9b::/96'), bitsBelow: 0n },
  { range: rangeOf('2002::/16'), bitsBelow: 80n },
];

/**
 * Reports whether an IP address is on the public internet. Returns false for special-purpose addresses (loopback,
 * private, link-local, documentation, multicast …) of either family, also when embedded in IPv6, and for anything that
 * is not an IP address. An IPv6 address with a zone is never public.
 */
export function isPublicAddress(text: string): boolean {
  const address = parseAddress(text);
  if (address === null) return false;
  if (address.bits === 32) return isPublicV4(address);
  const carrier = CARRIERS_V6.find(({ range }) => isInRange(address, range));
  if (carrier) return isPublicV4({ bits: 32, value: (address.value >> carrier.bitsBelow) & 0xffff_ffffn });
  return isInRange(address, GLOBAL_V6) && !NOT_PUBLIC_V6.some((range) => isInRange(address, range));
}

function isPublicV4(address: IpAddress): boolean {
  return !NOT_PUBLIC_V4.some((range) => isInRange(address, range));
}

function rangeOf(text: string): IpRange {
  const range = parseRange(text);
  if (range === null) throw new TypeError(`not a range: ${text}`);
  return range;
}
