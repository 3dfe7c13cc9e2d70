import { AtlasError } from '../../errors.ts';
import { FairShares } from '../../utils/fair-shares.ts';
import type { SlotLimit, SlotRefusals } from './domain.ts';

/** Whose slot a transfer takes: that of the owner of the file, and if it has no API key, of the link. */
export interface TransferSource {
  readonly owner: string;
  readonly link: string | null;
}

/** Bounds of {@link TransferSlots}. */
export interface TransferSlotsOptions {
  readonly max: number;
  readonly perLinkMax: number;
  /** Names the transfers in messages, in the plural. */
  readonly what: string;
  readonly refused: SlotRefusals;
}

const RETRY_AFTER_SECONDS_MAX = 5;
const WAIT = 'Wait until one of them ends, or cancel it.';

/**
 * Bounds the concurrent transfers of this worker: each holds memory and a connection to the store. An owner has a
 * share, so that transfers that never end leave slots to others. A link has a few, because it works without a key.
 */
export class TransferSlots {
  readonly #options: TransferSlotsOptions;
  readonly #shares: FairShares;
  readonly #ofLinks = new Map<string, number>();

  constructor(options: TransferSlotsOptions) {
    this.#options = options;
    this.#shares = new FairShares(options.max);
  }

  get inFlight(): number {
    return this.#shares.used;
  }

  /** Throws `overloaded` if there is no slot for this source. */
  requireSlot({ owner, link }: TransferSource): void {
    const { max, perLinkMax, what } = this.#options;
    const ofLink = link === null ? 0 : (this.#ofLinks.get(link) ?? 0);
    if (ofLink >= perLinkMax)
      throw this.#refuse(
        'link',
        `This link already has ${ofLink} ${what} in progress on this worker. ${WAIT}`,
      );
    const refusal = this.#shares.check(owner);
    if (refusal === null) return;
    if (refusal === 'full')
      throw this.#refuse(
        'worker',
        `This worker already has ${max} ${what} in progress, which is the maximum.`,
      );
    const held = this.#shares.held(owner);
    const detail = `This owner already has ${held} ${what} in progress on this worker; the rest is for others. ${WAIT}`;
    throw this.#refuse('owner', detail);
  }

  /** Takes a slot and returns a function that releases it, safe to call twice. Throws like {@link requireSlot}. */
  enter(source: TransferSource): () => void {
    this.requireSlot(source);
    const { owner, link } = source;
    this.#shares.take(owner);
    this.#addToLink(link, 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#shares.release(owner);
      this.#addToLink(link, -1);
    };
  }

  #addToLink(link: string | null, change: 1 | -1): void {
    if (link === null) return;
    const count = (this.#ofLinks.get(link) ?? 0) + change;
    if (count > 0) this.#ofLinks.set(link, count);
    else this.#ofLinks.delete(link);
  }

  #refuse(limit: SlotLimit, detail: string): AtlasError {
    this.#options.refused[limit]++;
    // Jitter, so that those refused together do not come back together.
    const retryAfterSeconds = 1 + Math.floor(Math.random() * RETRY_AFTER_SECONDS_MAX);
    return new AtlasError('overloaded', detail, { retryAfterSeconds });
  }
}
