const LENGTH = /\r\ncontent-length: *(\d+)/i;

const ID = '{"id":"';
const ID_LENGTH = 36;

/** Returns the ID that a complete response starts with. */
export function readId(bytes: Buffer): string {
  const at = bytes.indexOf(ID, bytes.indexOf('\r\n\r\n')) + ID.length;
  return bytes.toString('latin1', at, at + ID_LENGTH);
}

/**
 * Returns the status of the HTTP/1.1 response at the start of the bytes, or null if it is incomplete. Throws if it has no
 * Content-Length, which Atlas always sends for a transfer.
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
