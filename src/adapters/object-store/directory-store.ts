import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, opendir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { untilAborted } from '../../utils/until-aborted.ts';
import {
  filesBelow,
  moveDurably,
  readChunks,
  syncFolder,
  unlessMissing,
  writeAll,
} from './directory-files.ts';
import { readLinkSecret } from './link-secret.ts';
import { signedLinks } from './link-signature.ts';
import {
  type ObjectStore,
  type OpenedLink,
  requireKey,
  storeFull,
  storeTooSlow,
  storeUnavailable,
} from './object-store.ts';
import { objectStream } from './object-stream.ts';
import { requireRoom, requireWritable } from './writable-folder.ts';

// A disk that is read-only, failing or out of file handles, a file in place of a folder, or a file that was
// deleted, such as an upload taken for abandoned after a clock jump: Atlas cannot fix these, and they may pass. `rm` of
// Bun reports ENOTDIR as EFAULT.
const UNAVAILABLE =
  /^(?:ENOENT|EROFS|EIO|EACCES|EPERM|EMFILE|ENFILE|ESTALE|ENODEV|ENXIO|ENOTDIR|EFAULT|EISDIR|EEXIST|ELOOP)$/;
const FULL = /^(?:ENOSPC|EDQUOT)$/;
const FOLDERS = /^[0-9a-f]{2}$/;
// How much an upload may write between two checks of the room that is left.
const CHECKED_BYTES = 1_048_576;

/**
 * An object store for a single host, with a file per object under `objects` of the data folder. An object is written to
 * a temporary file, made durable and then renamed, so that it is either complete or absent. Folders are created on
 * demand.
 */
export function directoryStore(dataDir: string): ObjectStore {
  const root = join(dataDir, 'objects');
  const incoming = join(root, 'incoming');
  const pathOf = (key: string) => join(root, ...placeOf(requireKey(key)));

  return {
    mode: 'directory',
    ...directoryLinks(dataDir),

    check: () => onDisk(undefined, () => requireWritable(incoming)),

    put: async (key, body, { signal }) => {
      const path = pathOf(key);
      // The name contains the start time of the upload, because writes change the modification time.
      const temporary = join(incoming, `${Date.now()}.${randomUUID()}.${nameOf(key)}`);
      return onDisk(signal, () => writeFile(body, temporary, path, signal));
    },

    get: async (key, { first = 0, last, signal }) => {
      const path = pathOf(key);
      const file = await onDisk(signal, () => unlessMissing(open(path, 'r')));
      if (file === null) return null;
      const end = last === undefined ? Number.POSITIVE_INFINITY : last + 1;
      return objectStream(
        () => readChunks(file, first, end),
        signal,
        () => file.close(),
      );
    },

    head: async (key, signal) => {
      const path = pathOf(key);
      const found = await onDisk(signal, () => unlessMissing(stat(path)));
      return found && { sizeBytes: found.size, modifiedAt: found.mtime };
    },

    delete: async (key, signal) => {
      const path = pathOf(key);
      await onDisk(signal, async () => {
        if ((await unlessMissing(rm(path).then(() => true))) !== null) await syncFolder(dirname(path));
      });
    },

    async *list(prefix, signal) {
      const files = filesBelow(root, FOLDERS);
      try {
        for (;;) {
          const { done, value } = await onDisk(signal, () => files.next());
          if (done) return;
          const { name, ...object } = value;
          const key = name.replaceAll('.', '/');
          if (key.startsWith(prefix)) yield { key, ...object };
        }
      } finally {
        // Closes the folders when the reader stops early.
        await files.return(undefined);
      }
    },

    abortUploads: (prefix, before, signal) => onDisk(signal, () => abortUploads(incoming, prefix, before)),
  };
}

/** Removes the temporary files of the prefix whose uploads started before the time. */
async function abortUploads(incoming: string, prefix: string, before: Date): Promise<number> {
  let aborted = 0;
  for await (const { name } of (await unlessMissing(opendir(incoming))) ?? []) {
    const [startMs, , ...key] = name.split('.');
    if (Number(startMs) >= before.getTime() || !key.join('/').startsWith(prefix)) continue;
    await rm(join(incoming, name), { force: true });
    aborted++;
  }
  return aborted;
}

/** Links that Atlas itself serves, signed with the secret of the data folder. */
function directoryLinks(dataDir: string): Pick<ObjectStore, 'links' | 'presignPut' | 'presignGet'> {
  const links = async () => signedLinks(await readLinkSecret(dataDir));
  const sign = (permission: OpenedLink, expiresSeconds: number) =>
    onDisk(undefined, async () => (await links()).sign(permission, expiresSeconds));
  return {
    links: {
      open: (method, key, query) => onDisk(undefined, async () => (await links()).open(method, key, query)),
    },

    presignPut: async (key, what, expiresSeconds) => ({
      url: await sign({ method: 'PUT', key: requireKey(key), ...what }, expiresSeconds),
      headers: { 'Content-Type': what.mediaType, 'Content-Length': `${what.sizeBytes}` },
    }),

    presignGet: async (key, what, expiresSeconds) => ({
      url: await sign({ method: 'GET', key: requireKey(key), ...what }, expiresSeconds),
    }),
  };
}

/** Returns the file name of a key. Reversible, because keys have no dots. */
function nameOf(key: string): string {
  return key.replaceAll('/', '.');
}

/** Returns one of 256 folders, and the file name in it. */
function placeOf(key: string): [folder: string, name: string] {
  return [createHash('sha256').update(key).digest('hex').slice(0, 2), nameOf(key)];
}

async function writeFile(
  body: AsyncIterable<Uint8Array>,
  temporary: string,
  path: string,
  signal: AbortSignal,
): Promise<{ sizeBytes: number }> {
  const created = await mkdir(dirname(temporary), { recursive: true, mode: 0o700 });
  // The folder of all objects must survive a power failure too.
  if (created !== undefined) await syncFolder(dirname(created));
  await requireRoom(dirname(temporary));
  const file = await open(temporary, 'wx', 0o600);
  try {
    let sizeBytes = 0;
    let checkedBytes = 0;
    for await (const chunk of untilAborted(body, signal)) {
      await writeAll(file, chunk);
      sizeBytes += chunk.byteLength;
      if (sizeBytes - checkedBytes < CHECKED_BYTES) continue;
      checkedBytes = sizeBytes;
      await requireRoom(dirname(temporary));
    }
    await file.sync();
    signal.throwIfAborted();
    await moveDurably(temporary, path);
    return { sizeBytes };
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
}

/** Does the work unless the signal has aborted, and maps the errors of the disk. */
async function onDisk<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    signal?.throwIfAborted();
    return await work();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) throw storeTooSlow(error);
    const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
    if (FULL.test(code)) throw storeFull(error);
    throw UNAVAILABLE.test(code) ? storeUnavailable(error) : error;
  }
}
