import type { Actor } from '../../utils/actor.ts';
import type { Done, Idempotency, RequestIdentity, Tx } from '../idempotency.ts';
import { type Digests, fileNotFound, isStored, objectKeyOf, type StoredFile } from './domain.ts';
import type { FileObjects, FileRepository } from './repository.ts';

// An upload whose process has died is abandoned when its lease expires; one renewal may fail without harm.
export const LEASE_SECONDS = 300;
const RENEW_MS = 100_000;
const DISCARD_MS = 5000;

/** The rows of uploads in progress: leased while bytes arrive, then stored or discarded. */
export interface UploadRows {
  /** Renews the lease of the upload until the work settles. */
  renewing<T>(id: string, work: () => Promise<T>): Promise<T>;
  /**
   * Marks the file as stored, or returns the file that an earlier request with the same Idempotency-Key has stored.
   * Throws `file_not_found` if it is no longer being uploaded.
   */
  store(
    id: string,
    mediaType: string,
    digests: Digests,
    actor: Actor,
    request?: RequestIdentity,
  ): Promise<Done<StoredFile>>;
  /** Removes what a failed upload left behind. Never rejects: the reconciler does what cannot be done now. */
  discard(id: string, actor: Actor): Promise<void>;
}

export function createUploadRows(
  repository: FileRepository,
  objects: FileObjects,
  idempotency: Idempotency,
): UploadRows {
  return {
    async renewing(id, work) {
      // A brief database outage must not end an upload that takes an hour.
      const timer = setInterval(() => void repository.renew(id, LEASE_SECONDS).catch(() => {}), RENEW_MS);
      try {
        return await work();
      } finally {
        clearInterval(timer);
      }
    },
    async store(id, mediaType, digests, actor, request) {
      let hasEnded = false;
      const store = async (tx?: Tx) => {
        const file = await repository.store(id, mediaType, digests, actor, tx);
        hasEnded = file === null;
        if (file === null) throw fileNotFound(id);
        return file;
      };
      try {
        return request ? await idempotency.run(request, store) : { result: await store(), replayed: false };
      } catch (error) {
        // If the response to the commit was lost, the row itself says whether it took effect.
        const found = await repository.find(id).catch((failure: unknown) => {
          throw hasEnded ? failure : error;
        });
        if (found !== null && isStored(found)) return { result: found, replayed: false };
        throw error;
      }
    },
    async discard(id, actor) {
      try {
        if (!(await repository.abandon(id, actor))) return;
        const key = objectKeyOf(await repository.realm(), id);
        await objects.delete(key, AbortSignal.timeout(DISCARD_MS));
        await repository.forget(id);
      } catch {
        // Either the row marks the object for deletion, or its lease expires.
      }
    },
  };
}
