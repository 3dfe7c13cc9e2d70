import { limitConcurrency } from '../../utils/concurrency.ts';
import { systemActor } from '../actor.ts';
import { type FileStats, objectKeyOf, objectPrefixOf, type StoredFile } from './domain.ts';
import type { FileObjects, FileRepository } from './repository.ts';

const ROWS_PER_PAGE = 200;
const KEYS_PER_PAGE = 500;
const CALLS_MAX = 8;
const ROUNDS_MAX = 60;

/** Dependencies of {@link createReconciler}. */
export interface ReconcilerOptions {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  readonly stats: FileStats;
  /** Time limit of an upload. */
  readonly timeoutMs: number;
  /** Reports a stored file whose object is missing or of another size. */
  readonly onDamaged: (file: StoredFile, found: string) => void;
}

/** Makes rows and objects consistent again after a crash between the two. Every step is idempotent. */
export interface Reconciler {
  /** Expires abandoned uploads, finishes deletions, and checks the objects of the next few stored files. */
  settle(signal: AbortSignal): Promise<void>;
  /** Deletes objects without a row that are older than `graceMs`, and aborts multipart uploads that never ended. */
  sweep(graceMs: number, signal: AbortSignal): Promise<void>;
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { repository, objects, stats } = options;
  // Each call continues after the files that the last one checked.
  let checkedUpTo: string | null = null;
  let deletedUpTo: string | null = null;

  async function finishDeletions(signal: AbortSignal): Promise<void> {
    const realm = await repository.realm();
    do {
      signal.throwIfAborted();
      const ids = await repository.listDeleting(deletedUpTo, ROWS_PER_PAGE);
      // Behind a page with objects that cannot be deleted, the next call continues: others do not wait for them.
      deletedUpTo = ids.length < ROWS_PER_PAGE ? null : ids.at(-1)!;
      await each(ids, async (id) => {
        await objects.delete(objectKeyOf(realm, id), signal);
        await repository.forget(id);
        stats.reconciled.deleted++;
      });
    } while (deletedUpTo !== null);
  }

  async function checkStored(signal: AbortSignal): Promise<void> {
    const files = await repository.listStored(checkedUpTo, ROWS_PER_PAGE);
    await each(files, async (file) => {
      const found = await findDamage(options, file, signal);
      if (found === null) return;
      stats.damagedObjects++;
      options.onDamaged(file, found);
    });
    checkedUpTo = files.length < ROWS_PER_PAGE ? null : files.at(-1)!.id;
  }

  return {
    async settle(signal) {
      for (let round = 0; round < ROUNDS_MAX && !signal.aborted; round++) {
        const expired = await repository.expire(ROWS_PER_PAGE, systemActor('expiry of uploads'));
        stats.reconciled.expired += expired;
        if (expired < ROWS_PER_PAGE) break;
      }
      try {
        await finishDeletions(signal);
      } finally {
        // An object that cannot be deleted, such as one under a legal hold, must not prevent the check.
        await checkStored(signal);
      }
    },
    async sweep(graceMs, signal) {
      const before = new Date(Date.now() - graceMs);
      const startedBefore = new Date(before.getTime() - options.timeoutMs);
      const prefix = objectPrefixOf(await repository.realm());
      stats.reconciled.aborted += await objects.abortUploads(prefix, startedBefore, signal);
      for await (const key of orphanKeys(options, before, signal)) {
        await objects.delete(key, signal);
        stats.reconciled.orphans++;
      }
    },
  };
}

/**
 * Yields the keys of objects last modified before the time that have no row. A row is written before its object and
 * deleted after it, so a row that is absent after its object was listed will never exist.
 */
export async function* orphanKeys(
  { repository, objects }: Pick<ReconcilerOptions, 'repository' | 'objects'>,
  before: Date,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const prefix = objectPrefixOf(await repository.realm());
  let page: string[] = [];
  const orphansOf = async (keys: readonly string[]) => {
    const ids = keys.map((key) => key.slice(prefix.length));
    const known = await repository.known(ids.filter(isId));
    return keys.filter((_, i) => !known.has(ids[i]!));
  };
  for await (const { key, modifiedAt } of objects.list(prefix, signal)) {
    if (modifiedAt <= before) page.push(key);
    if (page.length < KEYS_PER_PAGE) continue;
    yield* await orphansOf(page);
    page = [];
  }
  yield* await orphansOf(page);
}

/** Describes what is wrong with the object of a stored file, or returns null. Does not read its bytes. */
export async function findDamage(
  { repository, objects }: Pick<ReconcilerOptions, 'repository' | 'objects'>,
  file: StoredFile,
  signal: AbortSignal,
): Promise<string | null> {
  const object = await objects.head(objectKeyOf(await repository.realm(), file.id), signal);
  if (object?.sizeBytes === file.sizeBytes) return null;
  // Its owner may have deleted it in the meantime.
  if ((await repository.find(file.id, signal)) === null) return null;
  return object === null
    ? 'the object is missing'
    : `the object has ${object.sizeBytes} of ${file.sizeBytes} bytes`;
}

/** Processes a list page by page, in the order of ids, several items of a page concurrently. */
export async function inPages<T extends string | { readonly id: string }>(
  read: (after: string | null) => Promise<T[]>,
  work: (item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (let after: string | null = null; ; ) {
    signal.throwIfAborted();
    const page: T[] = await read(after);
    await each(page, work);
    const last = page.at(-1);
    if (last === undefined) return;
    after = typeof last === 'string' ? last : last.id;
  }
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const limited = limitConcurrency(CALLS_MAX);
  const results = await Promise.allSettled(items.map((item) => limited(() => work(item))));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

function isId(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
