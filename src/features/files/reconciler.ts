import { limitConcurrency } from '../../utils/concurrency.ts';
import { type FileStats, objectKeyOf, objectPrefixOf, type StoredFile } from './domain.ts';
import type { FileObjects, FileRepository } from './repository.ts';

const ROWS_AT_ONCE = 200;
const KEYS_AT_ONCE = 500;
const CALLS_AT_ONCE = 8;
const ROUNDS_MAX = 60;

/** What the reconciler needs from outside. */
export interface ReconcilerOptions {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  readonly stats: FileStats;
  /** How long an upload may take. */
  readonly timeoutMs: number;
  /** Told of a stored file whose object is gone or of another size. */
  readonly onDamaged: (file: StoredFile, found: string) => void;
}

/** Brings rows and objects together again after whatever ended between the two. Each step can be done twice. */
export interface Reconciler {
  /** Ends abandoned uploads, finishes deletions, and looks at the objects of the next few stored files. */
  settle(signal: AbortSignal): Promise<void>;
  /** Deletes objects without a row that are older than `graceMs`, and what is left of uploads that never ended. */
  sweep(graceMs: number, signal: AbortSignal): Promise<void>;
}

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { repository, objects, stats } = options;
  // Each call goes on with the files after the ones that the last call looked at.
  let lookedAtTo: string | null = null;

  async function finishDeletions(signal: AbortSignal): Promise<void> {
    const realm = await repository.realm();
    await inPages(
      (after) => repository.listDeleting(after, ROWS_AT_ONCE),
      async (id) => {
        await objects.delete(objectKeyOf(realm, id), signal);
        await repository.forget(id);
        stats.reconciled.deleted++;
      },
      signal,
    );
  }

  async function lookAtStored(signal: AbortSignal): Promise<void> {
    const files = await repository.listStored(lookedAtTo, ROWS_AT_ONCE);
    await each(files, async (file) => {
      const found = await findDamage(options, file, signal);
      if (found === null) return;
      stats.damagedObjects++;
      options.onDamaged(file, found);
    });
    lookedAtTo = files.length < ROWS_AT_ONCE ? null : files.at(-1)!.id;
  }

  return {
    async settle(signal) {
      for (let round = 0; round < ROUNDS_MAX && !signal.aborted; round++) {
        const expired = await repository.expire(ROWS_AT_ONCE);
        stats.reconciled.expired += expired;
        if (expired < ROWS_AT_ONCE) break;
      }
      try {
        await finishDeletions(signal);
      } finally {
        // An object that the store does not give up, as one under a legal hold, must not keep damage from being seen.
        await lookAtStored(signal);
      }
    },
    async sweep(graceMs, signal) {
      const before = new Date(Date.now() - graceMs);
      const begunBefore = new Date(before.getTime() - options.timeoutMs);
      const prefix = objectPrefixOf(await repository.realm());
      stats.reconciled.aborted += await objects.abortUploads(prefix, begunBefore, signal);
      for await (const key of orphanKeys(options, before, signal)) {
        await objects.delete(key, signal);
        stats.reconciled.orphans++;
      }
    },
  };
}

/**
 * The keys of objects last changed before the time that have no row. As a row is written before its object and removed
 * after it, the row is looked for after the object was seen: then an object without one is nobody's, now and later.
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
    if (page.length < KEYS_AT_ONCE) continue;
    yield* await orphansOf(page);
    page = [];
  }
  yield* await orphansOf(page);
}

/** What is wrong with the object of a stored file, as text; null where nothing is. Does not read its bytes. */
export async function findDamage(
  { repository, objects }: Pick<ReconcilerOptions, 'repository' | 'objects'>,
  file: StoredFile,
  signal: AbortSignal,
): Promise<string | null> {
  const object = await objects.head(objectKeyOf(await repository.realm(), file.id), signal);
  if (object?.sizeBytes === file.sizeBytes) return null;
  // Its owner may have deleted it meanwhile.
  if ((await repository.find(file.id, signal)) === null) return null;
  return object === null
    ? 'its object is missing'
    : `its object has ${object.sizeBytes} of ${file.sizeBytes} bytes`;
}

/** Goes through a list page by page, in the order of the ids, and works on some of each page at a time. */
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
  const limited = limitConcurrency(CALLS_AT_ONCE);
  const results = await Promise.allSettled(items.map((item) => limited(() => work(item))));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

function isId(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
