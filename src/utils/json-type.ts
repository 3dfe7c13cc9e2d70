const TOKEN = "[!#$%&'*+.^_`|~\\w-]+";
const PARAMETER = `(${TOKEN})[ \\t]*=[ \\t]*(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)")`;
// RFC 9110, section 5.6.6, which allows empty parameters; spaces around the equals sign are common too.
const JSON_TYPE = new RegExp(`^[ \\t]*application/json[ \\t]*(?:;[ \\t]*(?:${PARAMETER}[ \\t]*)?)*$`, 'i');
const PARAMETERS = new RegExp(`;[ \\t]*${PARAMETER}`, 'g');
// ASCII is a subset of UTF-8, and some clients declare it for whatever they escape.
const CHARSETS = ['utf-8', 'utf8', 'us-ascii'];

/**
 * Returns whether a `Content-Type` is that of JSON in UTF-8, with parameters in any form. A parameter other than
 * `charset` has no meaning for JSON and is ignored (RFC 8259, section 11).
 *
 * @example isJsonType('Application/JSON ; charset="UTF-8";') // true
 */
export function isJsonType(contentType: string | null): boolean {
  // What nearly all clients send.
  if (contentType === 'application/json') return true;
  if (contentType === null || !JSON_TYPE.test(contentType)) return false;
  for (const [, name, token, quoted = ''] of contentType.matchAll(PARAMETERS)) {
    const value = token ?? quoted.replace(/\\(.)/g, '$1');
    if (name!.toLowerCase() === 'charset' && !CHARSETS.includes(value.trim().toLowerCase())) return false;
  }
  return true;
}
