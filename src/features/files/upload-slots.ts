import { type FileStats, toTransferError } from './domain.ts';
import { TransferSlots, type TransferSource } from './transfer-slots.ts';
import type { UploadStream } from './upload-stream.ts';

// Each may buffer a part of 8 MiB or more on its way to S3.
const UPLOADS_MAX = 16;
// A client that tries again may do so before its lost connection is noticed.
const UPLOADS_OF_LINK_MAX = 2;
// Uploads of which nothing has arrived. Each holds a permit for as long as the first bytes may take.
const ARRIVING_MAX = 32;

/** Does the work of uploads in slots, and counts their outcomes. */
export class UploadSlots {
  readonly #stats: FileStats;
  readonly #slots: TransferSlots;
  readonly #arriving: TransferSlots;

  constructor(stats: FileStats) {
    this.#stats = stats;
    const options = { perLinkMax: UPLOADS_OF_LINK_MAX, what: 'uploads', refused: stats.refused.uploads };
    this.#slots = new TransferSlots({ ...options, max: UPLOADS_MAX });
    this.#arriving = new TransferSlots({ ...options, max: ARRIVING_MAX });
  }

  /**
   * Waits for the first bytes of a body, and does the work in a slot: one that sends nothing takes none. Without a slot
   * it throws `overloaded` before it waits.
   */
  receive<T>(
    source: TransferSource,
    stream: UploadStream,
    signal: AbortSignal,
    work: () => Promise<T>,
  ): Promise<T> {
    return this.#counted(signal, async () => {
      this.#slots.requireSlot(source);
      const arrived = this.#arriving.enter(source);
      try {
        await stream.begin();
      } finally {
        arrived();
      }
      return this.#inSlot(source, work);
    });
  }

  /** Does the work in a slot. Throws `overloaded` if there is none for this source. */
  run<T>(source: TransferSource, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#counted(signal, () => this.#inSlot(source, work));
  }

  async #inSlot<T>(source: TransferSource, work: () => Promise<T>): Promise<T> {
    const leave = this.#slots.enter(source);
    this.#stats.uploadsInFlight = this.#slots.inFlight;
    try {
      return await work();
    } finally {
      leave();
      this.#stats.uploadsInFlight = this.#slots.inFlight;
    }
  }

  async #counted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.#stats.uploads.complete++;
      return result;
    } catch (error) {
      this.#stats.uploads.failed++;
      throw toTransferError(error, signal);
    }
  }
}
