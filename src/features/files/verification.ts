import { AtlasError } from '../../errors.ts';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import { createChunkCheck } from './chunk-digests.ts';
import { objectKeyOf, type StoredFile } from './domain.ts';
import { findDamage, inPages, orphanKeys } from './reconciler.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { verifiedChunks } from './verified-chunks.ts';

const DISCREPANCIES_MAX = 100;

/** A disagreement between the rows and the objects of files. */
export interface FileDiscrepancy {
  /** `orphan`: an object without a row. `damaged`: a row whose object is missing, or not what was stored. */
  readonly kind: 'orphan' | 'damaged';
  /** The key of an orphaned object, or the id of a damaged file. */
  readonly at: string;
  readonly found: string;
}

/** The result of verifying all files. `ok` means that there are no discrepancies. */
export interface FileVerification {
  readonly ok: boolean;
  readonly files: number;
  readonly bytes: number;
  /** Deletions that the reconciler has still to finish. */
  readonly deleting: number;
  /** The total; only the first ones are listed. */
  readonly discrepancyCount: number;
  readonly discrepancies: readonly FileDiscrepancy[];
}

/**
 * Compares every row with its object and every object with its row; `deep` also reads all bytes and verifies their
 * digests. Skips objects of the last `graceMs`, which may belong to uploads that have just ended.
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
        (await findDamage(stores, file, signal)) ??
        (deep ? await findCorruption(stores, file, signal) : null);
      if (found !== null) report({ kind: 'damaged', at: file.id, found });
    },
    signal,
  );
  for await (const key of orphanKeys(stores, new Date(Date.now() - graceMs), signal))
    report({ kind: 'orphan', at: key, found: 'no file has this key' });
  await inPages(
    (after) => repository.listDeleting(after, 200),
    async () => void deleting++,
    signal,
  );
  return { ok: discrepancyCount === 0, files, bytes, deleting, discrepancyCount, discrepancies };
}

/** Reads all bytes, and describes what is wrong with them, or returns null. */
async function findCorruption(
  stores: { readonly repository: FileRepository; readonly objects: FileObjects },
  file: StoredFile,
  signal: AbortSignal,
): Promise<string | null> {
  const key = objectKeyOf(await stores.repository.realm(), file.id);
  const last = Math.floor((file.sizeBytes - 1) / CHUNK_BYTES);
  try {
    const sources = { ...stores, isChunk: createChunkCheck() };
    for await (const _ of verifiedChunks(sources, file, key, [0, last], signal));
    return null;
  } catch (error) {
    const code = error instanceof AtlasError ? error.code : '';
    if (code === 'file_not_found') return null;
    if (code === 'file_corrupt') return (error as AtlasError).message;
    throw error;
  }
}
