import type { DerivedId, Movement, PostRequest, PostResult } from '../movement.ts';
import { fingerprintOf } from '../movement.ts';

/** Movements of a file to post together. They are the same whenever they are posted again. */
export interface BulkRequest {
  readonly owner: string;
  /** Has a space, so that no caller can send it as an Idempotency-Key. */
  readonly key: string;
  readonly orders: readonly Movement[];
  /** Identifies the content, such as the digest of the file. */
  readonly content: object;
}

/** Posts what a file contains through the same queue and batches as every payment. */
export interface BulkPosting {
  /** Derives IDs that nobody can guess, always the same. The name has a space, like the key of a request. */
  deriver(): Promise<(owner: string, name: string) => DerivedId>;
  /** Refusals are results. Throws like `GroupCommit.submit`. */
  post(request: BulkRequest): Promise<PostResult>;
  /** Milliseconds that the last batch of this process waited for those of others. */
  waitedMs(): number;
}

/** What {@link createBulkPosting} needs of the ledger. */
export interface BulkPostingPorts {
  submit(request: PostRequest): Promise<PostResult>;
  waitedMs(): number;
  readonly ids: {
    ready(): Promise<void> | null;
    derive(owner: string, key: string, index: number): DerivedId;
  };
}

const PATH = '/v1/imports';

export function createBulkPosting({ submit, waitedMs, ids }: BulkPostingPorts): BulkPosting {
  return {
    async deriver() {
      await ids.ready();
      return (owner, name) => ids.derive(owner, name, 0);
    },
    post: ({ owner, key, orders, content }) =>
      submit({ owner, key, orders, atomic: false, fingerprint: fingerprintOf(PATH, false, [content]) }),
    waitedMs,
  };
}
