import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { dataFolderError } from '../utils/data-folder-error.ts';
import { lockFile } from '../utils/file-lock.ts';

/** A port of a data folder, locked until it is released or this process exits. */
export interface FolderPortLock {
  release(): void;
}

/**
 * Locks the names that an Atlas on the port uses in the data folder: its sockets and the record of its workers. Returns
 * null if another Atlas has them. The lock of the port itself does not cover this: a container with the same folder has
 * ports of its own, and so has another address of this host. Throws an Error if the folder cannot be written.
 */
export function lockFolderPort(dataDir: string, port: number): FolderPortLock | null {
  const path = resolve(dataDir, `serve-${port}.lock`);
  for (;;) {
    const fd = openLock(dataDir, path);
    if (lockFile(fd) === 'held') {
      closeSync(fd);
      return null;
    }
    const release = () => {
      rmSync(path, { force: true });
      closeSync(fd);
    };
    // The last holder may have removed the file after it was opened here.
    if (isNamed(fd, path)) return { release };
    closeSync(fd);
  }
}

function openLock(dataDir: string, path: string): number {
  try {
    mkdirSync(dataDir, { recursive: true });
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw dataFolderError(error, dataDir);
  }
}

function isNamed(fd: number, path: string): boolean {
  const named = statSync(path, { throwIfNoEntry: false });
  return named !== undefined && named.ino === fstatSync(fd).ino;
}
