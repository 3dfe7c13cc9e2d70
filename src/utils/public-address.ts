import { isIPv4, isIPv6 } from 'node:net';

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
].map((range) => toRange(range, 32));
// Everything outside 2000::/3 is refused, so these are only the exceptions within it.
const GLOBAL_V6 = toRange('2000::/3', 128);
const NOT_PUBLIC_V6 = ['2001::/23', '2001:db8::/32', '3fff::/20'].map((range) => toRange(range, 128));
// Addresses that embed an IPv4 address, with the number of bits below it. A gateway routes to it, so it decides.
const CARRIERS_V6 = [
  { range: toRange('::ffff:0:0/96', 128), bitsBelow: 0n },
  { range: toRange('64:ff9b::/96', 128), bitsBelow: 0n },
  { range: toRange('2002::/16', 128), bitsBelow: 80n },
];

interface Range {
  readonly prefix: bigint;
  readonly bitsBelow: bigint;
}

/**
 * Reports whether an IP address is on the public internet. Returns false for special-purpose addresses (loopback,
 * private, link-local, documentation, multicast …) of either family, also when embedded in IPv6, and for anything that
 * is not an IP address. An IPv6 address with a zone is never public.
 */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return isPublicV4(v4Of(address));
  if (!isIPv6(address) || address.includes('%')) return false;
  const value = v6Of(address);
  const carrier = CARRIERS_V6.find(({ range }) => isIn(value, range));
  if (carrier) return isPublicV4((value >> carrier.bitsBelow) & 0xffff_ffffn);
  return isIn(value, GLOBAL_V6) && !NOT_PUBLIC_V6.some((range) => isIn(value, range));
}

function isPublicV4(value: bigint): boolean {
  return !NOT_PUBLIC_V4.some((range) => isIn(value, range));
}

function isIn(value: bigint, { prefix, bitsBelow }: Range): boolean {
  return value >> bitsBelow === prefix;
}

function toRange(text: string, bits: number): Range {
  const [address, length] = text.split('/') as [string, string];
  const bitsBelow = BigInt(bits - Number(length));
  return { prefix: (bits === 32 ? v4Of(address) : v6Of(address)) >> bitsBelow, bitsBelow };
}

function v4Of(address: string): bigint {
  return address.split('.').reduce((value, byte) => value * 256n + BigInt(byte), 0n);
}

/** Returns the 128 bits of a valid IPv6 address, whose last 32 bits may be in dotted or hex notation. */
function v6Of(address: string): bigint {
  const plain = address.replace(/[\d.]+$/, (tail) => {
    if (!tail.includes('.')) return tail;
    const value = v4Of(tail);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [head, tail] = plain.split('::') as [string, string | undefined];
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) + BigInt(`0x${group}`), 0n);
}
