// A dictionary of structured fields (RFC 9651) whose members are byte sequences, `sha-256=:…:, sha-512=:…:`. A SHA-256
// has 32 bytes; what the other registered algorithms say is not looked at.
const SHA256 = 'sha-256=:[A-Za-z0-9+/]{43}=:';
const OTHER = '(?:sha-512|sha|md5|unixsum|unixcksum|adler|crc32c)=:[A-Za-z0-9+/]{2,86}={0,2}:';

/** What `Repr-Digest` and `Content-Digest` look like (RFC 9530). */
export const DIGEST_FIELD = new RegExp(`^(?:${SHA256}|${OTHER})(?:, ?(?:${SHA256}|${OTHER})){0,7}$`);

/** The SHA-256 in such a field, in hexadecimal; null where there is none. */
export function readDigest(field: string | undefined): string | null {
  const member = field?.split(',').find((text) => text.trim().startsWith('sha-256='));
  return member === undefined ? null : Buffer.from(member.split(':')[1]!, 'base64').toString('hex');
}

/** The field for a SHA-256 in hexadecimal. */
export function digestOf(sha256: string): string {
  return `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
}
