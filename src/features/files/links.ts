import { AtlasError } from '../../errors.ts';
import type { Actor } from '../../utils/actor.ts';
import { createReservedId } from '../../utils/reserved-id.ts';
import { callerIdOf, type Done, type Idempotency, type Tx } from '../idempotency.ts';
import {
  type FileRecord,
  fileNotFound,
  type InitiatedUpload,
  isStored,
  objectKeyOf,
  objectPrefixOf,
  requireStored,
  type StoredFile,
} from './domain.ts';
import { attachmentOf } from './file-name.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { boundStoredLinks } from './stored-links.ts';
import { tooManyUploads, UPLOADS_OF_OWNER_MAX, type Uploads } from './uploads.ts';

const UPLOAD_LINK_SECONDS = 3600;
const DOWNLOAD_LINK_SECONDS = 300;
/** Download links that one owner may have stored for retries, per worker. */
export const STORED_LINKS_MAX = 1000;
// Time left to complete an upload that finishes just before its link expires.
const COMPLETE_SECONDS = 600;

/** A link that works without an API key until it expires. */
export interface FileLink {
  readonly url: string;
  readonly expiresAt: string;
}

/** A new upload: the file as it is now, and where to PUT its bytes with which headers. */
export interface NewUpload {
  readonly file: FileRecord;
  readonly upload: FileLink & { readonly headers: Readonly<Record<string, string>> };
}

/** Dependencies of {@link createLinks}. */
export interface LinkOptions {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  readonly uploads: Pick<Uploads, 'receive'>;
  readonly idempotency: Idempotency;
  readonly sizeBytesMax: number;
}

/** Presigned links: to the object store, or to Atlas if the store has no HTTP endpoint. All methods throw `AtlasError`. */
export interface Links {
  /** Whether links point to Atlas, which then has to serve them. */
  readonly areServedHere: boolean;
  initiateUpload(
    owner: string,
    file: InitiatedUpload,
    actor: Actor,
    signal: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<NewUpload>>;
  toDownload(
    file: StoredFile,
    actor: Actor,
    signal: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<FileLink>>;
  /** Receives the bytes sent to an upload link that points to Atlas. */
  receiveUpload(
    key: string,
    query: URLSearchParams,
    body: AsyncIterable<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<void>;
  /** Returns the file of a download link that points to Atlas, and what tells the link from others. */
  openDownload(
    key: string,
    query: URLSearchParams,
    signal: AbortSignal,
  ): Promise<{ readonly file: StoredFile; readonly link: string }>;
}

export function createLinks(options: LinkOptions): Links {
  const { repository, objects, uploads, idempotency, sizeBytesMax } = options;
  const storedLinks = boundStoredLinks(STORED_LINKS_MAX, DOWNLOAD_LINK_SECONDS);
  /** The file stored under a key, whatever its owner: the signature in the link has already been verified. */
  async function findByKey(key: string, signal: AbortSignal): Promise<FileRecord> {
    const prefix = objectPrefixOf(await repository.realm());
    const id = key.slice(prefix.length);
    const file = key.startsWith(prefix) ? await repository.find(id, signal) : null;
    if (file === null) throw fileNotFound(id);
    return file;
  }

  const keyOf = async (id: string) => objectKeyOf(await repository.realm(), id);

  const verify = async (method: string, key: string, query: URLSearchParams) => {
    if (objects.links === null)
      throw new AtlasError('link_invalid', 'This Atlas stores files in S3, and its links point there.');
    return objects.links.open(method, key, query);
  };

  return {
    areServedHere: objects.links !== null,
    async initiateUpload(owner, { name, mediaType, sizeBytes, sha256 }, actor, signal, key) {
      if (sizeBytes > sizeBytesMax)
        throw new AtlasError('body_too_large', `The maximum file size is ${sizeBytesMax} bytes.`);
      const id = createReservedId('file');
      const seconds = UPLOAD_LINK_SECONDS + COMPLETE_SECONDS;
      const row = { id, owner, name, mediaType, sizeBytes, sha256 };
      const expiresAt = secondsFromNow(UPLOAD_LINK_SECONDS);
      const declared = { sizeBytes, sha256, mediaType };
      // Before the row: no transaction waits for the object store.
      const link = await objects.presignPut(await keyOf(id), declared, UPLOAD_LINK_SECONDS);
      const initiate = async (tx?: Tx) => {
        const options = { signal, tx };
        const file = await repository.initiate(row, seconds, UPLOADS_OF_OWNER_MAX, actor, options);
        if (file === null) throw tooManyUploads();
        return { file, upload: { ...link, expiresAt } };
      };
      const content = ['initiateUpload', name, mediaType, sizeBytes, sha256] as const;
      return idempotency.run({ owner, key, content, secretFor: callerIdOf(actor) }, initiate, signal);
    },
    async toDownload(file, actor, signal, key) {
      const { id, owner, name, mediaType } = file;
      const expiresAt = secondsFromNow(DOWNLOAD_LINK_SECONDS);
      const response = { disposition: attachmentOf(name), mediaType };
      const { url } = await objects.presignGet(await keyOf(id), response, DOWNLOAD_LINK_SECONDS);
      const content = ['linkFile', id] as const;
      // A link that has expired is of no use, and a caller who may only read can create any number.
      const request = { owner, key, content, secretFor: callerIdOf(actor), seconds: DOWNLOAD_LINK_SECONDS };
      const create = async (tx?: Tx) => {
        if (tx !== undefined) storedLinks.add(owner);
        return { url, expiresAt };
      };
      return idempotency.run(request, create, signal);
    },
    async receiveUpload(key, query, body, signal) {
      const link = await verify('PUT', key, query);
      const file = await findByKey(key, signal);
      if (link.method !== 'PUT' || file.sha256 !== link.sha256 || isStored(file))
        throw new AtlasError('link_invalid', 'This link has expired.');
      await uploads.receive({ owner: file.owner, link: linkId(key, query) }, file, body, signal);
    },
    async openDownload(key, query, signal) {
      await verify('GET', key, query);
      return { file: requireStored(await findByKey(key, signal)), link: linkId(key, query) };
    },
  };
}

/** Identifies a verified link. Everything in it is signed. */
function linkId(key: string, query: URLSearchParams): string {
  return `${key} ${query.get('expires')}`;
}

function secondsFromNow(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}
