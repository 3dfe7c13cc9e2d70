import { AtlasError } from '../../errors.ts';
import { CHUNK_BYTES, objectKeyOf, type StoredFile } from './domain.ts';
import { findDamage, inPages, orphanKeys } from './reconciler.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { verifiedChunks } from './verified-chunks.ts';

const DISCREPANCIES_MAX = 100;

/** One place where rows and objects of files disagree. */
export interface FileDiscrepancy {
  /** `orphan`: an object without a row. `damaged`: a row whose object is missing, or not the bytes that were stored. */
  readonly kind: 'orphan' | 'damaged';
  /** The key of the object, or the id of the file. */
  readonly at: string;
  readonly found: string;
}

/** What a verification of all files found. `ok` means that there is no discrepancy. */
export interface FileVerification {
  readonly ok: boolean;
  readonly files: number;
  readonly bytes: number;
  /** Deletions that are not finished yet, which the reconciler does. */
  readonly deleting: number;
  /** How many there are; the first of them are listed. */
  readonly discrepancyCount: number;
  readonly discrepancies: readonly FileDiscrepancy[];
}

/**
 * Compares every row with its object and every object with its row; `deep` reads all bytes and compares their digests
 * too. Objects of the last `graceMs` may belong to uploads that just ended, and are left out.
 */
export async function verifyFiles(
  stores: { readonly repository: FileRepository; readonly objects: FileObjects },
  { deep, graceMs }: { readonly deep: boolean; readonly graceMs: number },
  signal: AbortSignal,
): Promise<FileVerification> {
  const { repository } = stores;
  const discrepancies: FileDiscrepancy[] = [];
  let [files, bytes, deleting, discrepancyCount] = [0, 0, 0, 0];
  const report = (discrepancy: FileDiscrepancy) => {
    discrepancyCount++;
    if (discrepancies.length < DISCREPANCIES_MAX) discrepancies.push(discrepancy);
  };

  await inPages(
    (after) => repository.listStored(after, 200),
    async (file) => {
      files++;
      bytes += file.sizeBytes;
      const found =
        (await findDamage(stores, file, signal)) ?? (deep ? await rereads(stores, file, signal) : null);
      if (found !== null) report({ kind: 'damaged', at: file.id, found });
    },
    signal,
  );
  for await (const key of orphanKeys(stores, new Date(Date.now() - graceMs), signal))
    report({ kind: 'orphan', at: key, found: 'no file has this object' });
  await inPages(
    (after) => repository.listDeleting(after, 200),
    async () => void deleting++,
    signal,
  );
  return { ok: discrepancyCount === 0, files, bytes, deleting, discrepancyCount, discrepancies };
}

/** Reads all bytes; what is wrong with them, as text, or null. */
async function rereads(
  stores: { readonly repository: FileRepository; readonly objects: FileObjects },
  file: StoredFile,
  signal: AbortSignal,
): Promise<string | null> {
  const key = objectKeyOf(await stores.repository.realm(), file.id);
  const last = Math.floor((file.sizeBytes - 1) / CHUNK_BYTES);
  try {
    for await (const _ of verifiedChunks(stores, file, key, [0, last], signal));
    return null;
  } catch (error) {
    const code = error instanceof AtlasError ? error.code : '';
    if (code === 'file_not_found') return null;
    if (code === 'file_corrupt') return (error as AtlasError).message;
    throw error;
  }
}
