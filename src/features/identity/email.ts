import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';

/** As much as SMTP carries (RFC 5321, section 4.5.3.1). */
export const EMAIL_LENGTH_MAX = 254;
const LOCAL_LENGTH_MAX = 64;

// ASCII only, before anything is converted to lower case: letters such as the Kelvin sign become ASCII ones there, and
// would make somebody else's address of a look-alike.
const LOCAL = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+$/;
const DOMAIN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
// Letters and digits of any script. The conversion to ASCII would drop or decode some of the rest.
const HOST = /^[\p{L}\p{M}\p{N}.-]+$/u;

/**
 * Returns the address in the form in which it is stored and compared, or null if it is none: in lower case, the domain
 * in ASCII (IDNA). So one mailbox is one user, and an address that only looks like another one is another user.
 */
export function normalizeEmail(text: string): string | null {
  const at = text.lastIndexOf('@');
  const [local, host] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  if (local.length > LOCAL_LENGTH_MAX || !LOCAL.test(local) || !HOST.test(host)) return null;
  const domain = domainToASCII(host);
  if (!DOMAIN.test(domain) || isIP(domain) !== 0) return null;
  const email = `${local.toLowerCase()}@${domain}`;
  return email.length > EMAIL_LENGTH_MAX ? null : email;
}
