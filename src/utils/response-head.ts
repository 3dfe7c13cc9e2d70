/** What stands before the body of an HTTP/1.1 answer, as far as anybody asks for it. */
export interface ResponseHead {
  readonly status: number;
  readonly retryAfter: string | null;
}

export const HEAD_SIZE_BYTES_MAX = 16_384;

const END_OF_HEAD = '\r\n\r\n';
const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: |$)/;
// One class up to the end of the line: what could match in two ways takes time by the square of its length.
const RETRY_AFTER = /^retry-after:([^\r\n]*)$/im;
// Each is read again with every byte that comes.
const INTERIM_ANSWERS_MAX = 8;

/**
 * Reads the head of an HTTP/1.1 answer (RFC 9112) from the bytes that have come so far, as Latin-1 text. Passes over
 * interim answers (1xx). Answers null while it is not complete, and throws when it is too long or no HTTP.
 */
export function readResponseHead(text: string): ResponseHead | null {
  let rest = text;
  for (let interims = 0; ; interims++) {
    if (interims > INTERIM_ANSWERS_MAX) throw new Error('The head of the answer is too long.');
    const end = rest.indexOf(END_OF_HEAD);
    if (end === -1) {
      if (text.length > HEAD_SIZE_BYTES_MAX) throw new Error('The head of the answer is too long.');
      // What does not begin like HTTP never will, and waiting for its end would hold the connection open.
      if (!'HTTP/1.'.startsWith(rest.slice(0, 7))) throw new Error('The answer is no HTTP.');
      return null;
    }
    if (text.length - rest.length + end > HEAD_SIZE_BYTES_MAX)
      throw new Error('The head of the answer is too long.');
    const head = rest.slice(0, end);
    const status = Number(STATUS_LINE.exec(head.split('\r\n', 1)[0]!)?.[1]);
    if (Number.isNaN(status)) throw new Error('The answer is no HTTP.');
    // Nobody asked for another protocol, so a 101 is an answer like any other that is no success.
    if (status >= 200 || status === 101)
      return { status, retryAfter: RETRY_AFTER.exec(head)?.[1]?.trim() ?? null };
    rest = rest.slice(end + END_OF_HEAD.length);
  }
}
