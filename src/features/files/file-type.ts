import { AtlasError } from '../../errors.ts';

/** Length of the head of a file that its type is detected from. */
export const SNIFFED_BYTES = 4096;

const ZIP = 'application/zip';
const TEXT = 'text/plain';

/** Magic numbers (WHATWG MIME Sniffing and the specifications of the formats). */
const MAGIC: readonly {
  readonly mediaType: string;
  readonly parts: readonly (readonly [number, string])[];
}[] = [
  { mediaType: 'application/pdf', parts: [[0, '%PDF-']] },
  { mediaType: 'image/png', parts: [[0, '\x89PNG\r\n\x1a\n']] },
  { mediaType: 'image/jpeg', parts: [[0, '\xff\xd8\xff']] },
  { mediaType: 'image/gif', parts: [[0, 'GIF87a']] },
  { mediaType: 'image/gif', parts: [[0, 'GIF89a']] },
  {
    mediaType: 'image/webp',
    parts: [
      [0, 'RIFF'],
      [8, 'WEBP'],
    ],
  },
  { mediaType: 'application/gzip', parts: [[0, '\x1f\x8b\x08']] },
  { mediaType: 'application/zstd', parts: [[0, '\x28\xb5\x2f\xfd']] },
  { mediaType: ZIP, parts: [[0, 'PK\x03\x04']] },
  { mediaType: ZIP, parts: [[0, 'PK\x05\x06']] },
];

const OFFICE = 'application/vnd.openxmlformats-officedocument';
/** Types that need a declaration to be distinguished from a more general one, each with a plausibility check. */
const SUBTYPES: Readonly<Record<string, { readonly of: string; readonly fits: (head: Buffer) => boolean }>> =
  {
    [`${OFFICE}.wordprocessingml.document`]: { of: ZIP, fits: isOffice },
    [`${OFFICE}.spreadsheetml.sheet`]: { of: ZIP, fits: isOffice },
    [`${OFFICE}.presentationml.presentation`]: { of: ZIP, fits: isOffice },
    'text/csv': { of: TEXT, fits: () => true },
    'application/json': { of: TEXT, fits: (head) => /^\uFEFF?\s*[[{"\-\dtfn]/.test(head.toString('utf8')) },
  };

/** Every accepted type. HTML, SVG, XML and scripts are not among them: a browser could run them. */
export const FILE_TYPES: readonly string[] = [
  ...new Set([...MAGIC.map(({ mediaType }) => mediaType), TEXT, ...Object.keys(SUBTYPES)]),
];

const ALIASES: Readonly<Record<string, string>> = {
  'image/jpg': 'image/jpeg',
  'application/x-gzip': 'application/gzip',
  'application/x-zip-compressed': ZIP,
  'application/csv': 'text/csv',
  'application/x-ndjson': TEXT,
  // The generic type: the bytes alone decide.
  'application/octet-stream': '',
};

// What HTTP clients send for a form, or when no type was set.
const FORMS: readonly string[] = ['multipart/form-data', 'application/x-www-form-urlencoded'];

/**
 * Returns the canonical name of the type in a `Content-Type`, or an empty string if it declares none. Throws
 * `file_type_refused` if the type is not accepted.
 */
export function declaredType(contentType: string | null): string {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';');
  const name = ALIASES[type.trim()] ?? type.trim();
  if (FORMS.includes(name))
    throw refused(`The body must be the file itself, with its type or none, not ${shown(name)}.`);
  if (name !== '' && !FILE_TYPES.includes(name))
    throw refused(`The declared type ${shown(name)} is not accepted.`);
  const charset = parameters.map((text) => /^\s*charset\s*=\s*"?([^\s"]+)/.exec(text)?.[1]).find(Boolean);
  if (charset !== undefined && !['utf-8', 'utf8', 'us-ascii'].includes(charset))
    throw refused(`Text must be UTF-8, not ${shown(charset)}.`);
  return name;
}

/**
 * Returns the type of a file from its head. Throws `file_type_refused` if that type is not accepted, or differs from the
 * declared one ({@link declaredType}).
 */
export function typeOf(head: Uint8Array, declared: string): string {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, SNIFFED_BYTES));
  const sniffed = sniff(bytes);
  if (sniffed === null) throw refused('The content does not match any accepted type.');
  if (declared === '' || declared === sniffed) return sniffed;
  const subtype = SUBTYPES[declared];
  if (subtype?.of === sniffed && subtype.fits(bytes)) return declared;
  throw refused(`The declared type is ${declared}, but the content is ${sniffed}.`);
}

function sniff(head: Buffer): string | null {
  const text = head.toString('latin1');
  const found = MAGIC.find(({ parts }) => parts.every(([at, magic]) => text.startsWith(magic, at)));
  return found?.mediaType ?? (isPlainText(head) ? TEXT : null);
}

// Bytes that never occur in text (WHATWG MIME Sniffing, "binary data byte"), and what browsers may sniff as HTML or SVG.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it matches.
const BINARY = /[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/;
const MARKUP = /^\uFEFF?\s*<[a-z!?/]/i;

function isPlainText(head: Buffer): boolean {
  let text: string;
  try {
    // The last character may extend beyond the head.
    const stream = head.byteLength === SNIFFED_BYTES;
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(head, { stream });
  } catch {
    return false;
  }
  return text !== '' && !BINARY.test(text) && !MARKUP.test(text);
}

/** Whether the first entry of the archive is one that Office documents start with. */
function isOffice(head: Buffer): boolean {
  const nameLength = head.length >= 30 ? head.readUInt16LE(26) : 0;
  const name = head.toString('latin1', 30, 30 + nameLength);
  return /^(?:\[Content_Types\]\.xml$|_rels\/|docProps\/|word\/|xl\/|ppt\/|mimetype$)/.test(name);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function refused(why: string): AtlasError {
  return new AtlasError('file_type_refused', `${why} Accepted types: ${FILE_TYPES.join(', ')}.`);
}
