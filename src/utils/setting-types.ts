import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { canonicalAddress, parseRange } from './ip-address.ts';
import { parseSender } from './mail-address.ts';
import { decodeKey } from './sealing.ts';

/** Metadata of a setting, in addition to its type. */
export type SettingMeta = {
  readonly section: string;
  readonly description: string;
  /** Never shown: of a URL, the password and the query; of anything else, all of it. */
  readonly secret?: true;
  /** The value has no effect yet: nothing reads it. */
  readonly unused?: true;
};

const FORMER_KEYS_MAX = 8;

/** A whole number within bounds. */
export const integer = (min: number, max: number) =>
  z.coerce
    .number<string>({ error: 'is not a whole number' })
    .int({ error: 'is not a whole number' })
    .min(min, { error: 'is too small' })
    .max(max, { error: 'is too large' })
    .meta({ allowed: `a whole number from ${min} to ${max}` });
/** A number within bounds. */
export const decimal = (min: number, max: number) =>
  z.coerce
    .number<string>({ error: 'is not a number' })
    .min(min, { error: 'is too small' })
    .max(max, { error: 'is too large' })
    .meta({ allowed: `a number from ${min} to ${max}` });
/** One of a few words. */
export const choice = <const T extends readonly string[]>(...choices: T) =>
  z.enum(choices, { error: 'is not one of the choices' });
/** True or false. */
export const flag = () =>
  z.stringbool({ error: 'is neither true nor false' }).meta({ allowed: 'true or false' });
/** A URL of one of the schemes. */
export const url = (...schemes: string[]) => {
  const allowed = `a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`;
  const fits = (text: string) =>
    schemes.some((scheme) => text.startsWith(`${scheme}://`)) && URL.canParse(text);
  return z.string().refine(fits, { error: 'is not a URL of this kind' }).meta({ allowed, isUrl: true });
};
/** The URL of a mail server: a scheme, a host, and optionally a login and a port. */
export const smtpUrl = () => {
  const allowed =
    'smtp:// or smtps://, then user:password@ if it needs a login, host, and :port if not the usual one';
  const fits = (text: string) => {
    if (!/^smtps?:\/\//.test(text) || !URL.canParse(text)) return false;
    const { hostname, pathname, search, hash, username, password } = new URL(text);
    const hasOnlyHost = /^\/?$/.test(pathname) && search === '' && hash === '';
    return hostname !== '' && hasOnlyHost && isPercentEncoded(username) && isPercentEncoded(password);
  };
  return z.string().refine(fits, { error: 'is not a URL of this kind' }).meta({ allowed, isUrl: true });
};
function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
/** Who mails are from. */
export const mailSender = () =>
  z
    .string()
    .refine((text) => parseSender(text) !== null, { error: 'is not one mail address' })
    .meta({ allowed: 'an address such as atlas@example.com, or Name <atlas@example.com>' });
const list = (allowed: string) =>
  z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean),
    )
    .meta({ allowed });
/** A short name that can be part of a key or topic. */
export const name = () => {
  const allowed = '1 to 64 letters, digits or any of . _ -';
  return z
    .string()
    .regex(/^[\w.-]{1,64}$/, { error: 'is too long or contains other characters' })
    .meta({ allowed });
};
/** The section and description of a setting, for everything that is generated from the schema. */
export const meta = (
  section: string,
  description: string,
  extra: Pick<SettingMeta, 'secret' | 'unused'> = {},
) => ({
  section,
  description,
  ...extra,
});

const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text;
/** A web origin of http or https. */
export const origin = () => {
  const allowed = 'an origin such as https://atlas.example.com, without a path and a slash at its end';
  return z
    .string()
    .refine((text) => /^https?:/.test(text) && isOrigin(text), { error: 'is not an origin' })
    .meta({ allowed });
};
const LOCAL_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

/** The issuer of an OpenID Connect provider. Only one on this host may be called without TLS. */
export const issuer = () => {
  const allowed = 'an https URL without query and fragment, such as https://login.example.com';
  const fits = (text: string) => {
    if (!URL.canParse(text) || /[?#]/.test(text)) return false;
    const { protocol, hostname, username, password } = new URL(text);
    const isPrivate = protocol === 'https:' || (protocol === 'http:' && LOCAL_HOSTS.includes(hostname));
    return isPrivate && username === '' && password === '';
  };
  return z.string().refine(fits, { error: 'is not the URL of an issuer' }).meta({ allowed });
};
/** A comma-separated list of web origins. */
export const origins = () => {
  const allowed = 'origins such as https://app.example.com, comma-separated, without a path';
  return list(allowed)
    .refine((items) => items.every(isOrigin), { error: 'contains an item that is not an origin' })
    .meta({ allowed });
};
/** A comma-separated list of host:port pairs. */
export const brokers = () => {
  const allowed = 'host:port pairs, comma-separated';
  const isBroker = (text: string) => /^[^\s/@]+:\d{1,5}$/.test(text) && URL.canParse(`kafka://${text}`);
  return list(allowed)
    .refine((items) => items.every(isBroker), { error: 'contains an item that is not host:port' })
    .meta({ allowed });
};
/** The path of a file. */
export const file = () => z.string().min(1).meta({ allowed: 'a path' });
/** A host name or an address, without brackets around IPv6. */
export const host = () => {
  const allowed = 'a host name or an address, without scheme and port, such as 127.0.0.1 or ::1';
  return z
    .string()
    .transform((text) => text.replace(/^\[(.*)\]$/, '$1'))
    .refine((text) => /^[\w.-]+$/.test(text) || isIPv6(text), { error: 'is not a bare host' })
    .meta({ allowed });
};
/** A comma-separated list of host names or addresses. */
export const hosts = () => {
  const allowed = 'host names or addresses, comma-separated, without scheme and port';
  const isHost = (text: string) => /^[\w.-]+$/.test(text) || isIPv6(text.replace(/^\[(.*)\]$/, '$1'));
  return list(allowed)
    .refine((items) => items.every(isHost), { error: 'contains an item that is not a bare host' })
    .meta({ allowed });
};
/** A comma-separated list of IP addresses and ranges. None of them is all addresses. */
export const addressRanges = () => {
  const allowed =
    'IP addresses or CIDR ranges such as 10.0.0.0/8 or fd00::/8, comma-separated, and not all addresses (/0)';
  const isUsable = (text: string) => {
    const range = parseRange(text);
    // Addresses are compared in their canonical form, so a range of IPv4 written as IPv6 would contain none.
    const isMapped = text.includes(':') && canonicalAddress(text.split('/')[0]!)?.includes('.');
    return range !== null && range.bitsBelow < BigInt(range.bits) && !isMapped;
  };
  return list(allowed)
    .refine((items) => items.every(isUsable), {
      error: 'contains an item that is not an address or a range, or a range of all addresses',
    })
    .meta({ allowed });
};
/** A key that seals secrets. */
export const sealingKey = () =>
  z
    .string()
    .refine((text) => decodeKey(text) !== null, { error: 'is not base64 of 32 bytes' })
    .meta({ allowed: '32 random bytes in base64; atlas secrets key prints some' });
/** A comma-separated list of former values of a setting with a key. */
export const sealingKeys = (name: string) => {
  const allowed = `1 to ${FORMER_KEYS_MAX} former values of ${name}, comma-separated`;
  return list(allowed)
    .refine((items) => items.length <= FORMER_KEYS_MAX, { error: 'has too many items' })
    .refine((items) => items.every((item) => decodeKey(item) !== null), {
      error: 'contains an item that is not base64 of 32 bytes',
    })
    .meta({ allowed });
};
