/**
 * Releases the memory of an array now instead of at the next garbage collection, and leaves it empty. Otherwise chunks
 * of a fast stream pile up, because the collector sees the number of objects, not their size. Does nothing for an array
 * that shares its buffer. Call it only from the last reader.
 */
export function freeBytes({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
