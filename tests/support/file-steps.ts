import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isS3Here, s3Settings, startTestS3, type TestS3 } from './s3.ts';
import { startTestApp, type TestApp } from './test-app.ts';

export const MIB = 1_048_576;

export type StoreKind = 'directory' | 's3';

/** The available object stores. With ATLAS_REQUIRE_SERVICES=1, a missing one fails the test file. */
export function availableStores(): StoreKind[] {
  return isS3Here() ? ['directory', 's3'] : ['directory'];
}

/** Atlas with a separate object store that a test can read and change behind its back. */
export interface FilesApp extends TestApp {
  readonly s3: TestS3 | null;
  readonly dataDir: string;
  /** The file ids of all objects, from the ends of their keys. */
  objectIds(): Promise<string[]>;
  /** Changes the bytes of an object in the store. */
  spoil(id: string, change: (bytes: Buffer) => Buffer): Promise<void>;
  /** Removes an object from the store. */
  lose(id: string): Promise<void>;
  /** The states of all file rows, by id. */
  rows(): Promise<Record<string, string>>;
}

export async function startFilesApp(
  kind: StoreKind,
  settings: Record<string, string> = {},
): Promise<FilesApp> {
  const dataDir = await mkdtemp(join(tmpdir(), 'atlas-files-'));
  const s3 = kind === 's3' ? await startTestS3() : null;
  const atlas = await startTestApp({
    ATLAS_DATA_DIR: dataDir,
    ...(s3 && s3Settings(s3)),
    ...settings,
  });
  const root = s3?.folder ?? join(dataDir, 'objects');

  async function paths(): Promise<string[]> {
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isFile() && UUID_AT_END.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.includes('/incoming/'));
  }
  async function pathOf(id: string): Promise<string> {
    const found = (await paths()).find((path) => path.endsWith(id));
    if (!found) throw new Error(`File ${id} has no object.`);
    return found;
  }

  return {
    ...atlas,
    s3,
    dataDir,
    objectIds: async () => (await paths()).map((path) => UUID_AT_END.exec(path)![0]).sort(),
    async spoil(id, change) {
      const path = await pathOf(id);
      await writeFile(path, change(await readFile(path)));
    },
    lose: async (id) => rm(await pathOf(id)),
    async rows() {
      const rows = await atlas.sql<{ id: string; state: string }[]>`SELECT id, state FROM files ORDER BY id`;
      return Object.fromEntries(rows.map(({ id, state }) => [id, state]));
    },
    async close() {
      await atlas.close();
      await s3?.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

const UUID_AT_END = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A file as the API returns it. */
export interface FileResource {
  readonly id: string;
  readonly state: string;
  readonly name: string;
  readonly mediaType: string;
  readonly sizeBytes: number | null;
  readonly sha256: string | null;
  readonly createdAt: string;
}

/** Random bytes with the head of a gzip file, an accepted type. */
export function gzipLike(sizeBytes: number): Buffer<ArrayBuffer> {
  const bytes = randomBytes(Math.max(sizeBytes, 3));
  bytes.set([0x1f, 0x8b, 0x08]);
  return bytes;
}

export function sha256Of(bytes: Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(bytes).digest('hex');
}

/** Returns the value of a Repr-Digest header. */
export function reprDigestOf(bytes: Uint8Array): string {
  return `sha-256=:${Buffer.from(sha256Of(bytes), 'hex').toString('base64')}:`;
}

/** Uploads a file. Throws unless the response is 201. */
export async function uploadFile(
  atlas: TestApp,
  bytes: Uint8Array | string,
  headers: Record<string, string> = {},
): Promise<FileResource> {
  const response = await atlas.call('POST', '/v1/files', { body: bytes as BodyInit, headers });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as FileResource;
}

/** A body that is sent in chunks, without a declared length. */
export function inPieces(bytes: Uint8Array, pieceBytes: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (at >= bytes.byteLength) return controller.close();
        controller.enqueue(bytes.slice(at, at + pieceBytes));
        at += pieceBytes;
      },
    },
    { highWaterMark: 0 },
  );
}
