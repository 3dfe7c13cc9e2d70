/** A mail as its reader sees it. */
export interface MailMessage {
  /** Values by lower-case name, decoded, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly text: string;
}

/** Parses a mail of one part (RFC 5322, with the encodings of RFC 2045 and 2047). */
export function parseMail(raw: string): MailMessage {
  const end = raw.indexOf('\r\n\r\n');
  const head = raw.slice(0, end).replace(/\r\n[ \t]+/g, ' ');
  const headers = head.split('\r\n').map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), decodeWords(line.slice(colon + 1).trim())] as const;
  });
  const body = raw.slice(end + 4);
  const encoding = headerOf({ headers }, 'content-transfer-encoding');
  return { headers, text: decodeBody(body, encoding).replaceAll('\r\n', '\n').replace(/\n$/, '') };
}

/** Returns the only header of that name. */
export function headerOf({ headers }: Pick<MailMessage, 'headers'>, name: string): string {
  const values = headers.filter(([found]) => found === name).map(([, value]) => value);
  if (values.length !== 1) throw new Error(`The mail has ${values.length} headers ${name}.`);
  return values[0]!;
}

function decodeWords(value: string): string {
  const words = /=\?utf-8\?([QB])\?([^?]*)\?=(?:\s+(?==\?))?/gi;
  return value.replace(words, (_, kind: string, data: string) =>
    kind.toUpperCase() === 'B'
      ? Buffer.from(data, 'base64').toString()
      : decodeQuoted(data.replaceAll('_', '=20')),
  );
}

function decodeBody(body: string, encoding: string): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString();
  return encoding === 'quoted-printable' ? decodeQuoted(body.replaceAll('=\r\n', '')) : body;
}

function decodeQuoted(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}
