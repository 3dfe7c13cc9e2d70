import type { FileService } from '../../files/service.ts';
import type { ImportSource } from './records.ts';

type StoredFile = Awaited<ReturnType<FileService['findStored']>>;

/** Reads a stored file. Every byte is verified. Throws like `FileService.read`. */
export function storedSource(files: FileService, file: StoredFile, signal: AbortSignal): ImportSource {
  const source = { owner: file.owner, link: null, keyId: null };
  return {
    sizeBytes: file.sizeBytes,
    async read(first, last) {
      const pieces: Uint8Array[] = [];
      const bytes = await files.read(source, file, { first, last }, signal, () => {});
      for await (const piece of bytes) pieces.push(piece);
      return Buffer.concat(pieces);
    },
  };
}

/** Reads a file of this host. */
export function localSource(path: string): ImportSource {
  const file = Bun.file(path);
  return {
    sizeBytes: file.size,
    read: async (first, last) => Buffer.from(await file.slice(first, last + 1).arrayBuffer()),
  };
}
