const LENGTH = /\r\ncontent-length: *(\d+)/i;

/**
 * The status of the one HTTP/1.1 response that the bytes begin with, or null while it is not complete. Throws for what
 * Atlas never answers to a transfer: a response without Content-Length.
 */
export function readResponse(bytes: Buffer): number | null {
  const headBytes = bytes.indexOf('\r\n\r\n');
  if (headBytes < 0) return null;
  const head = bytes.toString('latin1', 0, headBytes);
  const length = LENGTH.exec(head)?.[1];
  if (length === undefined) throw new Error(`a response without Content-Length: ${head}`);
  if (bytes.length < headBytes + 4 + Number(length)) return null;
  return Number(head.slice(9, 12));
}
