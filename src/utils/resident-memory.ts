/** Reads the resident memory of this process, in bytes. */
export type ReadMemory = () => number;

/**
 * Returns a function that returns the resident memory of this process, in bytes. While it cannot be read, which takes a
 * file descriptor that idle connections may have used up, the function returns the last value.
 */
export function residentMemory(read: ReadMemory = process.memoryUsage.rss): ReadMemory {
  let last = 0;
  return () => {
    try {
      last = read();
    } catch {
      // A status that is a little out of date is better than none, and than the end of this process.
    }
    return last;
  };
}
