import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

// What uploads leave free of a disk: an embedded PostgreSQL is on the same one, and stops when it cannot write its log.
const RESERVED_BYTES_MAX = 1_073_741_824;
const RESERVED_FILES_MAX = 10_000;
/** On a small disk. */
const RESERVED_SHARE = 0.1;

const toMib = (bytes: number) => Math.floor(bytes / 1_048_576);

/**
 * Throws the error of the file system that writing below the folder would meet: it is a file, read-only, forbidden, or
 * full ({@link requireRoom}). Creates nothing: of a folder that does not exist, the one above it is checked.
 */
export async function requireWritable(folder: string): Promise<void> {
  const existing = await nearest(folder);
  await access(existing, constants.W_OK | constants.X_OK);
  await requireRoom(existing);
}

/** Throws ENOSPC if the disk of the folder has no more room than Atlas leaves free. */
export async function requireRoom(folder: string): Promise<void> {
  const { bavail, bsize, blocks, ffree, files } = await statfs(folder);
  const reservedBytes = Math.min(RESERVED_BYTES_MAX, blocks * bsize * RESERVED_SHARE);
  const reservedFiles = Math.min(RESERVED_FILES_MAX, files * RESERVED_SHARE);
  const isFull = bavail * bsize < reservedBytes;
  // Some file systems do not count files.
  if (isFull || (files > 0 && ffree < reservedFiles)) {
    const left = isFull
      ? `${toMib(bavail * bsize)} MiB left, and ${toMib(reservedBytes)} MiB stay free for PostgreSQL`
      : `${ffree} files left, and ${Math.ceil(reservedFiles)} stay free for PostgreSQL`;
    throw fileError('ENOSPC', left, folder);
  }
}

async function nearest(folder: string): Promise<string> {
  try {
    if ((await stat(folder)).isDirectory()) return folder;
    throw fileError('ENOTDIR', 'not a directory', folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw error;
    return nearest(dirname(folder));
  }
}

function fileError(code: string, text: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${text}, '${path}'`), { code, path });
}
