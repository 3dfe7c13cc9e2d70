/**
 * Gives the memory of bytes back now instead of at the next garbage collection, and leaves them empty. Chunks of a
 * stream of megabytes a second otherwise pile up: the collector sees how few objects there are, not how large. Bytes
 * that share their memory with others are left as they are. Only for whoever read them last.
 */
export function freeBytes({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
