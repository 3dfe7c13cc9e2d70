import { AtlasError } from '../../errors.ts';

/** As much of the beginning of a file as its type is told by. */
export const SNIFFED_BYTES = 4096;

const ZIP = 'application/zip';
const TEXT = 'text/plain';

/** First bytes that only one type has (WHATWG MIME Sniffing and the specifications of the formats). */
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
/** Types that are told from another one by what the caller declares, each with what it must look like. */
const INSIDE: Readonly<Record<string, { readonly of: string; readonly fits: (head: Buffer) => boolean }>> = {
  [`${OFFICE}.wordprocessingml.document`]: { of: ZIP, fits: isOffice },
  [`${OFFICE}.spreadsheetml.sheet`]: { of: ZIP, fits: isOffice },
  [`${OFFICE}.presentationml.presentation`]: { of: ZIP, fits: isOffice },
  'text/csv': { of: TEXT, fits: () => true },
  'application/json': { of: TEXT, fits: (head) => /^\uFEFF?\s*[[{"\-\dtfn]/.test(head.toString('utf8')) },
};

/** Every type that is taken. HTML, SVG, XML and scripts are not among them: a browser could run them. */
export const FILE_TYPES: readonly string[] = [
  ...new Set([...MAGIC.map(({ mediaType }) => mediaType), TEXT, ...Object.keys(INSIDE)]),
];

const ALIASES: Readonly<Record<string, string>> = {
  'image/jpg': 'image/jpeg',
  'application/x-gzip': 'application/gzip',
  'application/x-zip-compressed': ZIP,
  'application/csv': 'text/csv',
  // Says nothing, so the bytes alone decide.
  'application/octet-stream': '',
};

/**
 * The type that a caller declares, in its usual name; empty where it declares none. Throws `file_type_refused` for one
 * that is not taken.
 */
export function declaredType(contentType: string | null): string {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';');
  const name = ALIASES[type.trim()] ?? type.trim();
  if (name !== '' && !FILE_TYPES.includes(name)) throw refused(`${shown(name)} was declared.`);
  const charset = parameters.map((text) => /^\s*charset\s*=\s*"?([^\s"]+)/.exec(text)?.[1]).find(Boolean);
  if (charset !== undefined && !['utf-8', 'utf8', 'us-ascii'].includes(charset))
    throw refused(`Text must be UTF-8; the charset ${shown(charset)} was declared.`);
  return name;
}

/**
 * The type of a file that begins with these bytes, which must agree with what was declared ({@link declaredType}).
 * Throws `file_type_refused`.
 */
export function typeOf(head: Uint8Array, declared: string): string {
  const bytes = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, SNIFFED_BYTES));
  const sniffed = sniff(bytes);
  if (sniffed === null) throw refused('The bytes are of no type that is taken.');
  if (declared === '' || declared === sniffed) return sniffed;
  const inside = INSIDE[declared];
  if (inside?.of === sniffed && inside.fits(bytes)) return declared;
  throw refused(`${declared} was declared, and the bytes look like ${sniffed}.`);
}

function sniff(head: Buffer): string | null {
  const text = head.toString('latin1');
  const found = MAGIC.find(({ parts }) => parts.every(([at, magic]) => text.startsWith(magic, at)));
  return found?.mediaType ?? (isPlainText(head) ? TEXT : null);
}

// Bytes that no text has (WHATWG MIME Sniffing, "binary data byte"), and what a browser may take for a page or a drawing.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
const BINARY = /[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]/;
const MARKUP = /^\uFEFF?\s*<[a-z!?/]/i;

function isPlainText(head: Buffer): boolean {
  let text: string;
  try {
    // The last character may go on beyond the part that is looked at.
    const stream = head.byteLength === SNIFFED_BYTES;
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(head, { stream });
  } catch {
    return false;
  }
  return text !== '' && !BINARY.test(text) && !MARKUP.test(text);
}

/** Whether the first entry of an archive is one that office documents begin with. */
function isOffice(head: Buffer): boolean {
  const nameLength = head.length >= 30 ? head.readUInt16LE(26) : 0;
  const name = head.toString('latin1', 30, 30 + nameLength);
  return /^(?:\[Content_Types\]\.xml$|_rels\/|docProps\/|word\/|xl\/|ppt\/|mimetype$)/.test(name);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function refused(why: string): AtlasError {
  return new AtlasError('file_type_refused', `${why} These are taken: ${FILE_TYPES.join(', ')}.`);
}
