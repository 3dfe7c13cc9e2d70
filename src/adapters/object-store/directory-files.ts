import { type FileHandle, mkdir, open, opendir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import type { StoredObject } from './object-store.ts';

/** Appends all the bytes, because a single write may take only some of them. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, written, bytes.byteLength - written, null);
    written += bytesWritten;
  }
}

/** Renames a file within its file system so that the new name survives a power failure. */
export async function moveDurably(from: string, to: string): Promise<void> {
  const folder = dirname(to);
  const created = await mkdir(folder, { recursive: true, mode: 0o700 });
  await rename(from, to);
  await syncFolder(folder);
  if (created !== undefined) await syncFolder(dirname(folder));
}

/** Makes the entries of a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Yields the bytes from `first` up to `end` (exclusive) or the end of the file, in whole chunks. */
export async function* readChunks(file: FileHandle, first: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = first; at < end; ) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
    let filled = 0;
    while (filled < chunk.byteLength) {
      const { bytesRead } = await file.read(chunk, filled, chunk.byteLength - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    if (filled > 0) yield filled === chunk.byteLength ? chunk : chunk.slice(0, filled);
    if (filled < chunk.byteLength) return;
    at += filled;
  }
}

/** A file found by {@link filesBelow}. */
export interface FoundFile extends StoredObject {
  readonly name: string;
}

/** Yields the files in those folders of the root whose names match the pattern, one folder after the other. */
export async function* filesBelow(root: string, folders: RegExp): AsyncGenerator<FoundFile> {
  for await (const folder of (await unlessMissing(opendir(root))) ?? []) {
    if (!folder.isDirectory() || !folders.test(folder.name)) continue;
    for await (const { name } of await opendir(join(root, folder.name))) {
      const found = await unlessMissing(stat(join(root, folder.name, name)));
      if (found !== null) yield { name, sizeBytes: found.size, modifiedAt: found.mtime };
    }
  }
}

/** Returns null if the file does not exist. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
