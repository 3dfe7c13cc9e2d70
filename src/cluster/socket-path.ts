import { relative, resolve } from 'node:path';

// The kernel limits the path of a socket to 108 bytes, including the terminating zero.
const PATH_BYTES_MAX = 107;

/**
 * Returns the path of a socket in the data folder, relative if that is shorter. Throws an Error, which names the
 * `purpose`, if it is too long for a socket.
 */
export function socketPath(dataDir: string, name: string, purpose: string): string {
  const absolute = resolve(dataDir, name);
  const short = relative(process.cwd(), absolute);
  const path = short.length < absolute.length ? short : absolute;
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw new Error(
      `Atlas cannot use ${purpose}.\n  why:  the path ${path} is longer than ${PATH_BYTES_MAX} bytes, the maximum for a socket\n  do:   set ATLAS_DATA_DIR to a folder with a shorter path`,
    );
  }
  return path;
}
