/** The parts of an HTTP/1.1 response head that callers use. */
export interface ResponseHead {
  readonly status: number;
  readonly retryAfter: string | null;
}

export const HEAD_SIZE_BYTES_MAX = 16_384;

const END_OF_HEAD = '\r\n\r\n';
const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: |$)/;
// A single character class up to the end of the line: an ambiguous pattern would take quadratic time.
const RETRY_AFTER = /^retry-after:([^\r\n]*)$/im;
// Each is parsed again whenever more bytes arrive.
const INTERIM_RESPONSES_MAX = 8;

/**
 * Parses the head of an HTTP/1.1 response (RFC 9112) from the bytes received so far, as Latin-1 text. Skips interim
 * responses (1xx). Returns null while the head is incomplete. Throws if it is too long or not valid HTTP.
 */
export function readResponseHead(text: string): ResponseHead | null {
  let rest = text;
  for (let interims = 0; ; interims++) {
    if (interims > INTERIM_RESPONSES_MAX) throw new Error('The response head is too long.');
    const end = rest.indexOf(END_OF_HEAD);
    if (end === -1) {
      if (text.length > HEAD_SIZE_BYTES_MAX) throw new Error('The response head is too long.');
      // A response that does not start like HTTP is refused now, so that it cannot hold the connection open.
      if (!'HTTP/1.'.startsWith(rest.slice(0, 7))) throw new Error('The response is not valid HTTP.');
      return null;
    }
    if (text.length - rest.length + end > HEAD_SIZE_BYTES_MAX)
      throw new Error('The response head is too long.');
    const head = rest.slice(0, end);
    const status = Number(STATUS_LINE.exec(head.split('\r\n', 1)[0]!)?.[1]);
    if (Number.isNaN(status)) throw new Error('The response is not valid HTTP.');
    // No protocol upgrade was requested, so 101 is a final status, and not a success.
    if (status >= 200 || status === 101)
      return { status, retryAfter: RETRY_AFTER.exec(head)?.[1]?.trim() ?? null };
    rest = rest.slice(end + END_OF_HEAD.length);
  }
}
