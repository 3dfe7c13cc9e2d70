// Invisible characters and ones that change text direction, which can make a name that ends in `.exe` read `exe.fdp`
// (Unicode Technical Report 36, section 3). The joiners U+200C and U+200D stay: scripts and emoji need them.
const DECEPTIVE = /[\u200B\u200E\u200F\u061C\u2028-\u202E\u2060-\u2069\uFEFF\uFFF9-\uFFFB]/gu;
// Control characters, and characters and names that file systems reserve.
const CONTROL = /\p{Cc}/gu;
const RESERVED = /[<>:"|?*\\/]/g;
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;
const EDGE = /[\s.]/;
const NAME_BYTES_MAX = 255;
// A header can hold a much longer one, and normalizing takes a time that grows with the square of the length.
const GIVEN_LENGTH_MAX = 1024;
const GIVEN_END_LENGTH = 64;
const EXTENSION = /\.[\p{L}\p{N}]{1,10}$/u;
const NAMELESS = 'file';

/**
 * Returns a name that is safe to display and to save under: no folders, no control or bidirectional characters, at most
 * 255 bytes of UTF-8. Never throws: the name is only a label.
 */
export function safeFileName(given: string): string {
  const base = cut(withoutFolders(given)).toWellFormed().normalize('NFC');
  const clean = trimEdges(base.replace(DECEPTIVE, '').replace(CONTROL, '').replace(RESERVED, '_'));
  if (clean === '') return NAMELESS;
  return shorten(DEVICE.test(clean) ? `_${clean}` : clean);
}

function withoutFolders(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);
}

/** Removes the middle of a name that is too long anyway, so that what follows takes little time. */
function cut(name: string): string {
  if (name.length <= GIVEN_LENGTH_MAX) return name;
  return name.slice(0, GIVEN_LENGTH_MAX - GIVEN_END_LENGTH) + name.slice(-GIVEN_END_LENGTH);
}

/** Removes spaces and dots at both ends. A regular expression would try every run of them in between to its end. */
function trimEdges(name: string): string {
  let start = 0;
  let end = name.length;
  while (start < end && EDGE.test(name[start]!)) start++;
  while (end > start && EDGE.test(name[end - 1]!)) end--;
  return name.slice(start, end);
}

/** Truncates the stem and keeps the extension. */
function shorten(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return name;
  const extension = EXTENSION.exec(name)?.[0] ?? '';
  let room = NAME_BYTES_MAX - Buffer.byteLength(extension);
  let stem = '';
  for (const character of name) {
    room -= Buffer.byteLength(character);
    if (room < 0) break;
    stem += character;
  }
  return trimEdges(stem) + extension;
}

const PARAMETER = /;\s*(filename\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/gi;
const EXTENDED = /^utf-8'[\w-]*'([\w.!#$&+^`|~%-]*)$/i;

/**
 * Returns the file name of a `Content-Disposition` header (RFC 6266), or null. `filename*` (RFC 8187) takes precedence
 * over `filename`, and malformed parameters are ignored. A `filename` may be UTF-8, as browsers and curl send it.
 */
export function dispositionFileName(header: string | null): string | null {
  let plain: string | null = null;
  for (const [, name = '', quoted, token] of decodeField(header ?? '').matchAll(PARAMETER)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? token ?? '';
    if (!name.endsWith('*')) plain ??= value;
    else {
      const encoded = EXTENDED.exec(value)?.[1];
      try {
        if (encoded !== undefined) return decodeURIComponent(encoded);
      } catch {
        // Not UTF-8: fall back to the plain name.
      }
    }
  }
  return plain;
}

/** Fields arrive as Latin-1, one character for each byte. Bytes that are not UTF-8 stay as they are. */
function decodeField(field: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(field, 'latin1'));
  } catch {
    return field;
  }
}

/** Returns a `Content-Disposition` that makes browsers save the file under its name, never display it. */
export function attachmentOf(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]/g, '_').replace(/["\\%]/g, '_');
  // RFC 8187 allows fewer characters than encodeURIComponent leaves unescaped.
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
