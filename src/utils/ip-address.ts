import { isIPv4, isIPv6 } from 'node:net';

/** An IP address as a number of 32 or 128 bits. */
export interface IpAddress {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** A range of addresses, as in CIDR notation (RFC 4632). */
export interface IpRange {
  readonly bits: 32 | 128;
  readonly prefix: bigint;
  /** Bits below the prefix, which differ within the range. */
  readonly bitsBelow: bigint;
}

// IPv4 addresses as a socket for both families shows them.
const MAPPED = { bits: 128, prefix: 0xffffn, bitsBelow: 32n } as const;

/** Reads an address. Returns null for anything else, also for an IPv6 address with a zone. */
export function parseAddress(text: string): IpAddress | null {
  if (isIPv4(text)) return { bits: 32, value: v4Of(text) };
  if (!isIPv6(text) || text.includes('%')) return null;
  return { bits: 128, value: v6Of(text) };
}

/**
 * Reads a range in CIDR notation, or an address as the range of itself. Bits below the prefix are ignored. Returns null
 * for anything else.
 *
 * @example parseRange('10.0.0.0/8');
 */
export function parseRange(text: string): IpRange | null {
  const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const parsed = parseAddress(address);
  if (parsed === null) return null;
  const { bits, value } = parsed;
  const prefixBits = length === undefined ? bits : Number(length);
  if (prefixBits > bits) return null;
  const bitsBelow = BigInt(bits - prefixBits);
  return { bits, prefix: value >> bitsBelow, bitsBelow };
}

/** Whether the address is in the range. Addresses of one family are in no range of the other. */
export function isInRange({ bits, value }: IpAddress, range: IpRange): boolean {
  return bits === range.bits && value >> range.bitsBelow === range.prefix;
}

/**
 * Returns the one text of an address that may be written in several ways: an IPv4 address inside of IPv6 as IPv4, and
 * without a zone. Null if it is not an address.
 *
 * @example canonicalAddress('::FFFF:10.0.0.1'); // '10.0.0.1'
 */
export function canonicalAddress(text: string): string | null {
  if (isIPv4(text)) return text;
  const zone = text.indexOf('%');
  const plain = zone < 0 ? text : text.slice(0, zone);
  const address = parseAddress(plain);
  if (address === null) return null;
  if (!isInRange(address, MAPPED)) return new URL(`http://[${plain}]`).hostname.slice(1, -1);
  return [24n, 16n, 8n, 0n].map((bits) => (address.value >> bits) & 0xffn).join('.');
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

/** Returns what one customer has at least: an IPv4 address, or a network of IPv6 addresses (a /64). */
export function networkOf(address: string): string {
  const parsed = parseAddress(address);
  return parsed?.bits === 128 ? `${(parsed.value >> 64n).toString(16)}/64` : address;
}
