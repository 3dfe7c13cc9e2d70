// A dictionary (structured fields, RFC 9651) of byte sequences, `sha-256=:…:, sha-512=:…:`. Only SHA-256, which has
// 32 bytes, is verified; digests of the other registered algorithms are ignored.
const SHA256 = 'sha-256=:[A-Za-z0-9+/]{43}=:';
const OTHER = '(?:sha-512|sha|md5|unixsum|unixcksum|adler|crc32c)=:[A-Za-z0-9+/]{2,86}={0,2}:';

/** The syntax of `Repr-Digest` and `Content-Digest` (RFC 9530). */
export const DIGEST_FIELD = new RegExp(`^(?:${SHA256}|${OTHER})(?:, ?(?:${SHA256}|${OTHER})){0,7}$`);

/** Returns the SHA-256 of the field in hexadecimal, or null if it has none. */
export function readDigest(field: string | undefined): string | null {
  const member = field?.split(',').find((text) => text.trim().startsWith('sha-256='));
  return member === undefined ? null : Buffer.from(member.split(':')[1]!, 'base64').toString('hex');
}

/** Formats a SHA-256 in hexadecimal as the value of such a field. */
export function digestOf(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
}
