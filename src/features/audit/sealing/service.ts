import { type Head, isSameSeal, type SealedContent, START, sealOf } from './chain.ts';
import type { OutsideStore } from './outside-store.ts';
import type { Link, NewLink, SealingRepository, Tx } from './repository.ts';

const STEP_ROWS_MAX = 500;

/** The result of verifying the chain. */
export interface Verification {
  /** How many links are intact, from the first one on. */
  readonly intact: number;
  /** The first link that is not, and why; null if all are. */
  readonly broken: { readonly position: number; readonly why: string } | null;
  readonly head: Head | null;
  /** Entries that are not sealed yet. */
  readonly unsealed: number;
}

/** Seals entries and verifies the chain. */
export interface AuditSealing {
  /** Seals what is not sealed yet, in steps. Throws if the chain does not continue the head of this host. */
  seal(): Promise<void>;
  /** Verifies every link, and the chain against a head; by default, the one that this host has seen last. */
  verify(expected?: Head | null): Promise<Verification>;
  readonly counts: SealingRepository['counts'];
  readonly store: OutsideStore;
  /** Since the start of this process. */
  readonly stats: { readonly sealed: number; readonly failures: number };
}

/** `onHead` is called with each new head, to log it. */
export function createAuditSealing(
  repository: SealingRepository,
  store: OutsideStore,
  onHead: (head: Head) => void,
): AuditSealing {
  const stats = { sealed: 0, failures: 0 };

  /** The head in the database. Throws if it does not continue what this host has seen. */
  async function currentHead(tx: Tx): Promise<Head> {
    const seen = store.head();
    const problem = seen === null ? null : compare(seen, await repository.sealAt(tx, seen.position));
    if (problem !== null) throw new Error(`The audit chain does not continue ${store.headFile}: ${problem}.`);
    const last = await repository.last(tx);
    return last === null ? START : { position: last.position, seal: toText(last.seal) };
  }

  async function sealStep(): Promise<number> {
    const key = store.sealingKey();
    if (key === null) return 0;
    const sealed = await repository.exclusively(async (tx) => {
      const entries = await repository.unsealed(tx, STEP_ROWS_MAX);
      if (entries.length === 0) return null;
      let head = await currentHead(tx);
      const links: NewLink[] = entries.map((entry: SealedContent) => {
        const seal = sealOf(key, head, entry);
        head = { position: head.position + 1, seal: toText(seal) };
        return { id: entry.id, position: head.position, seal };
      });
      await repository.store(tx, key.id, links);
      return { head, count: links.length };
    });
    if (sealed === null) return 0;
    store.saveHead(sealed.head);
    onHead(sealed.head);
    stats.sealed += sealed.count;
    return sealed.count;
  }

  return {
    stats,
    store,
    counts: repository.counts,
    async seal() {
      try {
        while ((await sealStep()) === STEP_ROWS_MAX);
      } catch (error) {
        stats.failures++;
        throw error;
      }
    },
    async verify(expected = store.head()) {
      let head = START;
      const { unsealed } = await repository.counts();
      for (;;) {
        const links = await repository.linksAfter(head.position, STEP_ROWS_MAX);
        for (const link of links) {
          const why = faultOf(link, head);
          if (why !== null)
            return { intact: head.position, broken: { position: head.position + 1, why }, head, unsealed };
          head = { position: link.position, seal: toText(link.seal) };
        }
        if (links.length < STEP_ROWS_MAX) break;
      }
      const why =
        expected === null ? null : compare(expected, await repository.sealAt(null, expected.position));
      const broken = why === null ? null : { position: Math.min(expected!.position, head.position + 1), why };
      return { intact: head.position, broken, head: head === START ? null : head, unsealed };
    },
  };

  /** Why a link does not continue the chain; null if it does. */
  function faultOf(link: Link, previous: Head): string | null {
    const next = previous.position + 1;
    if (link.position !== next) return `the entry at position ${next} was deleted`;
    const key = store.keyOf(link.keyId);
    if (key === null) return `it was sealed with the key ${link.keyId}, which this host does not have`;
    if (isSameSeal(sealOf(key, previous, link), link.seal)) return null;
    return `entry ${link.id} (${link.action} of ${link.targetId}) was changed, moved, or inserted after it was sealed`;
  }
}

/** Why the chain in the database does not contain a head; null if it does. */
function compare(seen: Head, seal: Uint8Array | null): string | null {
  if (seal === null) return `the entry at position ${seen.position} and all after it were deleted`;
  return isSameSeal(Buffer.from(seen.seal, 'base64url'), seal)
    ? null
    : `the entry at position ${seen.position} is not the one that was sealed there`;
}

const toText = (seal: Uint8Array) => Buffer.from(seal).toString('base64url');
