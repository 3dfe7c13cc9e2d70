import { AtlasError } from '../../errors.ts';
import { isTooLarge, metadataTooLarge } from '../../http/metadata-size.ts';
import type { Abortable } from '../../utils/abortable.ts';
import {
  type DerivedId,
  fingerprintOf,
  type ItemResult,
  type Movement,
  type PostRequest,
  type PostResult,
  type Refusal,
} from './movement.ts';
import { refusalDetail } from './refusal-detail.ts';

/** Identifies a request for idempotency. */
export interface RequestIdentity {
  readonly owner: string;
  readonly key: string;
  readonly path: string;
}

/** A result, and whether it is replayed from an earlier request. */
export interface Posted<T> {
  readonly result: T;
  readonly replayed: boolean;
}

/** What the fingerprint of a movement is made of: canonical, and the same for each retry. */
export interface MovementContent {
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The movements of a request, with the content of each. */
export interface Draft {
  readonly contents: readonly MovementContent[];
  readonly orders: readonly Movement[];
}

/** Submits the movements of a request under its key. All throw `AtlasError`. */
export interface Submit {
  /** `draft` is called once, when IDs can be derived. `pointerOf` points to the metadata of an item. */
  all(
    identity: RequestIdentity,
    atomic: boolean,
    draft: (derive: (index: number) => DerivedId) => Draft,
    pointerOf: (index: number) => string,
    caller?: Abortable,
  ): Promise<{ readonly items: readonly ItemResult[]; readonly replayed: boolean }>;
  /** The same for one movement. Throws a refusal under its code. */
  one(
    identity: RequestIdentity,
    content: MovementContent,
    orderOf: (derived: DerivedId) => Movement,
    caller?: Abortable,
  ): Promise<Posted<ItemResult>>;
}

const POINTER = () => '/metadata';

/** What requests are submitted to: the group commit, the keys that were used, and the IDs of transfers. */
export interface SubmitPorts {
  isKeyUsed(owner: string, key: string): Promise<boolean>;
  submit(request: PostRequest, caller?: Abortable): Promise<PostResult>;
  readonly ids: {
    ready(): Promise<void> | null;
    derive(owner: string, key: string, index: number): DerivedId;
  };
}

export function createSubmit({ isKeyUsed, submit, ids }: SubmitPorts): Submit {
  const all: Submit['all'] = async (identity, atomic, draft, pointerOf, caller) => {
    const { owner, key, path } = identity;
    const reading = ids.ready();
    if (reading !== null) await reading;
    const { contents, orders } = draft((index) => ids.derive(owner, key, index));
    const large = contents.filter(({ metadata }) => metadata !== undefined && isTooLarge(metadata));
    // What was posted by a release without this limit must be found by its retries.
    if (large.length > 0 && !(await isKeyUsed(owner, key)))
      throw metadataTooLarge(
        large.map((content) => [pointerOf(contents.indexOf(content)), content.metadata!]),
      );
    const fingerprint = fingerprintOf(path, atomic, contents);
    const result = await submit({ owner, key, fingerprint, atomic, orders }, caller);
    if (result.state === 'reused') {
      throw new AtlasError(
        'idempotency_key_reused',
        'This Idempotency-Key was already used for a request with a different path or body.',
      );
    }
    return { items: result.items, replayed: result.state === 'replayed' };
  };

  return {
    all,
    async one(identity, content, orderOf, caller) {
      const draft = (derive: (index: number) => DerivedId) => ({
        contents: [content],
        orders: [orderOf(derive(0))],
      });
      const { items, replayed } = await all(identity, false, draft, POINTER, caller);
      const item = items[0]!;
      if (item.transfer === null && item.hold === undefined) throw refused(item, replayed);
      return { result: item, replayed };
    },
  };
}

/** Returns the error of a refused movement. */
export function refused(item: ItemResult, replayed: boolean): AtlasError {
  const { outcome, limit } = item;
  return new AtlasError(outcome as Refusal, refusalDetail(item), {
    ...(replayed && { headers: { 'Idempotency-Replayed': 'true' } }),
    ...(limit && { members: { limit } }),
  });
}
