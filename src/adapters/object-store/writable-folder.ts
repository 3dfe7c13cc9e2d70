import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Throws the error of the file system that writing below the folder would meet: it is a file, read-only, forbidden, or
 * full. Creates nothing: of a folder that does not exist, the one above it is checked.
 */
export async function requireWritable(folder: string): Promise<void> {
  const existing = await nearest(folder);
  await access(existing, constants.W_OK | constants.X_OK);
  const { bavail, ffree, files } = await statfs(existing);
  // Some file systems do not count files.
  if (bavail === 0 || (files > 0 && ffree === 0))
    throw fileError('ENOSPC', 'no space left on device', existing);
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
