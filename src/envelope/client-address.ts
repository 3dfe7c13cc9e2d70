import { canonicalAddress, type IpRange, isInRange, parseAddress, parseRange } from '../utils/ip-address.ts';
import type { ClientAddressOf } from './exchange.ts';

// A chain of proxies is short. What is left of a longer one was written by the client.
const HOPS_MAX = 32;
const PORT = /^(?:\[([^\]]*)\]|([^:]*))(?::\w+)?$/;

/**
 * Returns a function that finds the client behind trusted proxies: each appends the address that it was connected from
 * to `X-Forwarded-For` or `Forwarded` (RFC 7239), so the last address that is not one of theirs is the client. What a
 * client writes there itself is left of that, and never read. Addresses are returned in their canonical form.
 *
 * A proxy maintains one of the headers and may pass the other on as the client wrote it. If both are there and differ,
 * neither is believed, and the proxy counts as the client.
 */
export function clientAddress(trustedProxies: readonly string[]): ClientAddressOf {
  const ranges = trustedProxies.flatMap((text) => parseRange(text) ?? []);
  return (headers, connected) => {
    const peer = canonicalAddress(connected) ?? connected;
    if (!isTrusted(peer, ranges)) return peer;
    const listed = headers.get('x-forwarded-for');
    const described = headers.get('forwarded');
    const first = listed === null ? null : lastUntrusted(listed, addressOfHop, peer, ranges);
    const second = described === null ? null : lastUntrusted(described, addressOfElement, peer, ranges);
    if (first === null || second === null) return first ?? second ?? peer;
    return first === second ? first : peer;
  };
}

/**
 * Walks from the proxy that connected to the client, and returns the last address on the way that is known. A proxy
 * that could not or would not name the one it forwards for is the last.
 */
function lastUntrusted(
  text: string,
  addressOf: (hop: string) => string | null,
  peer: string,
  trusted: readonly IpRange[],
): string {
  let address = peer;
  let hops = 0;
  for (const hop of fromRight(text, ',')) {
    const next = addressOf(hop);
    if (next === null || hops++ === HOPS_MAX) return address;
    address = next;
    if (!isTrusted(address, trusted)) return address;
  }
  return address;
}

function isTrusted(text: string, trusted: readonly IpRange[]): boolean {
  const address = trusted.length === 0 ? null : parseAddress(text);
  return address !== null && trusted.some((range) => isInRange(address, range));
}

/** Reads an address, to which some proxies append the port. */
function addressOfHop(hop: string): string | null {
  const plain = canonicalAddress(hop);
  if (plain !== null) return plain;
  const [, bracketed, bare] = PORT.exec(hop) ?? [];
  return canonicalAddress(bracketed ?? bare ?? '');
}

/** Reads `for` of an element, such as `for="[2001:db8::1]:4711";proto=https`. */
function addressOfElement(element: string): string | null {
  for (const parameter of fromRight(element, ';')) {
    const [, node] = /^for="?([^"]*)"?$/i.exec(parameter) ?? [];
    if (node !== undefined) return addressOfHop(node);
  }
  return null;
}

/**
 * Yields the parts of a list, the last one first. It reads from the right, because only the end was written by trusted
 * proxies: a quote that the client opened cannot swallow it. Separators between quotes separate nothing.
 */
function* fromRight(text: string, separator: string): Generator<string> {
  let end = text.length;
  let isQuoted = false;
  for (let at = end - 1; at >= 0; at--) {
    const character = text[at];
    if (character === '"' && !isEscaped(text, at)) isQuoted = !isQuoted;
    else if (character === separator && !isQuoted) {
      yield text.slice(at + 1, end).trim();
      end = at;
    }
  }
  yield text.slice(0, end).trim();
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 1;
}
