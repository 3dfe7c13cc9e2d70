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
  storeTooSlow,
  storeUnavailable,
} from './object-store.ts';
import { objectStream } from './object-stream.ts';

// What a disk says that is full, read-only, failing, or out of files to open, or when what was there has gone, as an
// upload that was taken for abandoned because the clock jumped: Atlas can do nothing, and it may pass.
const UNAVAILABLE = /^(?:ENOENT|ENOSPC|EDQUOT|EROFS|EIO|EACCES|EPERM|EMFILE|ENFILE|ESTALE|ENODEV|ENXIO)$/;
const FOLDERS = /^[0-9a-f]{2}$/;

/**
 * The object store of one host: a file for each object, under `objects` of the data folder. An object is written
 * beside its place, made durable and then renamed, so that it is there whole or not at all. Nothing is made before it
 * is needed.
 */
export function directoryStore(dataDir: string): ObjectStore {
  const root = join(dataDir, 'objects');
  const incoming = join(root, 'incoming');
  const links = async () => signedLinks(await readLinkSecret(dataDir));
  const pathOf = (key: string) => join(root, ...placeOf(requireKey(key)));
  const sign = (what: OpenedLink, expiresSeconds: number) =>
    onDisk(undefined, async () => (await links()).sign(what, expiresSeconds));

  return {
    mode: 'directory',
    links: {
      open: (method, key, query) => onDisk(undefined, async () => (await links()).open(method, key, query)),
    },

    put: async (key, body, { signal }) => {
      const path = pathOf(key);
      // The time of its beginning is in its name: a write would change the time that the file system keeps.
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
        // Whoever stops early leaves folders open otherwise.
        await files.return(undefined);
      }
    },

    abortUploads: (prefix, before, signal) =>
      onDisk(signal, async () => {
        let ended = 0;
        for await (const { name } of (await unlessMissing(opendir(incoming))) ?? []) {
          const [begunMs, , ...key] = name.split('.');
          if (Number(begunMs) >= before.getTime() || !key.join('/').startsWith(prefix)) continue;
          await rm(join(incoming, name), { force: true });
          ended++;
        }
        return ended;
      }),

    presignPut: async (key, what, expiresSeconds) => ({
      url: await sign({ method: 'PUT', key: requireKey(key), ...what }, expiresSeconds),
      headers: { 'Content-Type': what.mediaType, 'Content-Length': `${what.sizeBytes}` },
    }),

    presignGet: async (key, what, expiresSeconds) => ({
      url: await sign({ method: 'GET', key: requireKey(key), ...what }, expiresSeconds),
    }),
  };
}

/** The key as the name of a file: no key has a dot, so the name tells the key again. */
function nameOf(key: string): string {
  return key.replaceAll('/', '.');
}

/** One of 256 folders, and the name of the file in it. */
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
  // The folder of all objects has to outlive a loss of power as well.
  if (created !== undefined) await syncFolder(dirname(created));
  const file = await open(temporary, 'wx', 0o600);
  try {
    let sizeBytes = 0;
    for await (const chunk of untilAborted(body, signal)) {
      await writeAll(file, chunk);
      sizeBytes += chunk.byteLength;
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

/** Does the work unless the signal has aborted, and maps what the disk says of it. */
async function onDisk<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    signal?.throwIfAborted();
    return await work();
  } catch (error) {
    if (signal?.aborted && error === signal.reason) throw storeTooSlow(error);
    const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
    throw UNAVAILABLE.test(code) ? storeUnavailable(error) : error;
  }
}
