// RFC 5321, section 4.5.3.1: 64 characters before the @, and a path of 256 with its two brackets.
const LOCAL_MAX = 64;
const ADDRESS_MAX = 254;
// A dot-atom of RFC 5322: nothing that must be quoted, so no spaces, brackets, commas, or control characters.
const LOCAL = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * Whether the text is one bare mail address, in ASCII: no name, no list, no line break, and nothing quoted. An
 * internationalized domain is passed as `domainToASCII` of `node:url` returns it.
 */
export function isMailAddress(text: string): boolean {
  const at = text.lastIndexOf('@');
  const local = text.slice(0, at);
  return (
    at > 0 &&
    text.length <= ADDRESS_MAX &&
    local.length <= LOCAL_MAX &&
    LOCAL.test(local) &&
    DOMAIN.test(text.slice(at + 1))
  );
}

/** Returns what logs may have of an address: its first character and its domain. */
export function maskAddress(address: string): string {
  const at = address.lastIndexOf('@');
  return at < 1 ? '…' : `${address[0]}…${address.slice(at)}`;
}

/** Who mails are from. */
export interface MailSender {
  /** Empty if there is only an address. */
  readonly name: string;
  readonly address: string;
}

/** Parses `address` or `Name <address>`. Returns null for anything else. */
export function parseSender(text: string): MailSender | null {
  const [, name = '', bracketed] = /^([^<>"\p{Cc}]*)<([^<>]+)>$/u.exec(text) ?? [];
  const address = bracketed ?? text;
  return isMailAddress(address) ? { name: name.trim(), address } : null;
}
