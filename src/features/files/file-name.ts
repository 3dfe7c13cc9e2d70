// What changes the direction of text or hides in it: it makes `exe.fdp` out of a name that ends in `.exe` (Unicode
// Technical Report 36, section 3). The joiners U+200C and U+200D stay: scripts and emoji need them.
const DECEPTIVE = /[\u200B\u200E\u200F\u061C\u2028-\u202E\u2060-\u2069\uFEFF\uFFF9-\uFFFB]/gu;
// Control characters, and what a file system of somebody who downloads it could trip over.
const CONTROL = /\p{Cc}/gu;
const RESERVED = /[<>:"|?*\\/]/g;
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i;
const EDGES = /^[\s.]+|[\s.]+$/g;
const NAME_BYTES_MAX = 255;
const EXTENSION = /\.[\p{L}\p{N}]{1,10}$/u;
const NAMELESS = 'file';

/**
 * A name that is harmless to show and to save under, made of what a caller sent: no folders, no control or
 * bidirectional characters, at most 255 bytes of UTF-8. Never refuses: the name is nothing but a label.
 */
export function safeFileName(given: string): string {
  const base = given.toWellFormed().normalize('NFC').split(/[/\\]/).at(-1)!;
  const clean = base.replace(DECEPTIVE, '').replace(CONTROL, '').replace(RESERVED, '_').replace(EDGES, '');
  if (clean === '') return NAMELESS;
  return shorten(DEVICE.test(clean) ? `_${clean}` : clean);
}

/** Cuts the middle out, so that the extension stays. */
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
  return stem.replace(EDGES, '') + extension;
}

const PARAMETER = /;\s*(filename\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/gi;
const EXTENDED = /^utf-8'[\w-]*'([\w.!#$&+^`|~%-]*)$/i;

/**
 * The file name of a `Content-Disposition` (RFC 6266, with `filename*` of RFC 8187 before `filename`), or null. What
 * is malformed counts as not there.
 */
export function dispositionFileName(header: string | null): string | null {
  let plain: string | null = null;
  for (const [, name = '', quoted, token] of (header ?? '').matchAll(PARAMETER)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? token ?? '';
    if (!name.endsWith('*')) plain ??= value;
    else {
      const encoded = EXTENDED.exec(value)?.[1];
      try {
        if (encoded !== undefined) return decodeURIComponent(encoded);
      } catch {
        // Not UTF-8 after all: then the plain name may do.
      }
    }
  }
  return plain;
}

/** A `Content-Disposition` that has browsers save the file under its name and never show it. */
export function attachmentOf(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]/g, '_').replace(/["\\%]/g, '_');
  // RFC 8187 allows fewer characters than encodeURIComponent leaves as they are.
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
