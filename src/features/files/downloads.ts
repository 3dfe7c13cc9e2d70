import { AtlasError } from '../../errors.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import type { ByteRange } from './content-range.ts';
import { CHUNK_BYTES, type FileStats, objectKeyOf, type StoredFile, toTransferError } from './domain.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { TransferSlots } from './transfer-slots.ts';
import { verifiedChunks } from './verified-chunks.ts';

// Each holds a chunk or two, and what the server has not sent yet.
const DOWNLOADS_MAX = 64;
const PIECE_BYTES = 65_536;
// Slower than that (1 KiB/s), a reader only holds a place that others need.
const PIECE_MS = 64_000;

/** What downloads need from outside. */
export interface DownloadOptions {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  readonly stats: FileStats;
  readonly timeoutMs: number;
  /** Told of a file that cannot be delivered as it was stored. */
  readonly onCorrupt: (file: StoredFile, error: AtlasError) => void;
}

/** Delivers bytes of files, none of which is wrong. */
export interface Downloads {
  /**
   * The bytes of a range. The first of them are verified when this resolves; where later ones are not right the stream
   * fails, which cuts the connection. Throws `file_corrupt`, `overloaded`, and what the store throws. `ended` is told
   * once that nothing more comes, before the stream ends.
   */
  open(
    file: StoredFile,
    range: ByteRange,
    signal: AbortSignal,
    ended: () => void,
  ): Promise<ReadableStream<Uint8Array>>;
}

export function createDownloads(options: DownloadOptions): Downloads {
  const { repository, stats } = options;
  const slots = new TransferSlots(DOWNLOADS_MAX);
  return {
    async open(file, range, signal, ended) {
      const leave = slots.enter();
      stats.downloadsInFlight = slots.inFlight;
      const delivery = new Delivery(file, range, options, () => {
        leave();
        stats.downloadsInFlight = slots.inFlight;
        ended();
      });
      try {
        return await delivery.start(objectKeyOf(await repository.realm(), file.id), signal);
      } catch (error) {
        delivery.end(false);
        throw toTransferError(error, signal);
      }
    },
  };
}

/** One download on its way: what it holds is let go of once, however it ends. */
class Delivery {
  readonly #file: StoredFile;
  readonly #range: ByteRange;
  readonly #options: DownloadOptions;
  readonly #release: () => void;
  readonly #stop = new AbortController();
  #fail: (error: unknown) => void = () => {};
  #chunks: AsyncGenerator<Uint8Array, void, undefined> | null = null;
  #chunk = new Uint8Array();
  /** Position in the file of the chunk, and of the next byte to deliver. */
  #chunkAt = 0;
  #at: number;
  #stall: Timer | undefined;
  #limit: Timer | undefined;
  #isOver = false;
  #unlisten = () => {};

  constructor(file: StoredFile, range: ByteRange, options: DownloadOptions, release: () => void) {
    this.#file = file;
    this.#range = range;
    this.#options = options;
    this.#release = release;
    this.#at = range.first;
  }

  async start(key: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const gone = () => this.#giveUp(signal.reason);
    signal.addEventListener('abort', gone, { once: true });
    this.#unlisten = () => signal.removeEventListener('abort', gone);
    signal.throwIfAborted();
    this.#limit = setTimeout(
      () => this.#giveUp(new Error('the download took too long')),
      this.#options.timeoutMs,
    );
    const [first, last] = [this.#range.first, this.#range.last].map((at) => Math.floor(at / CHUNK_BYTES));
    this.#chunks = verifiedChunks(this.#options, this.#file, key, [first!, last!], this.#stop.signal);
    await this.#nextChunk();
    this.#awaitReader();
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#fail = (error) => controller.error(error);
        },
        pull: (controller) => this.#pull(controller),
        cancel: () => this.end(false),
      },
      { highWaterMark: 0 },
    );
  }

  /** Gives back what it holds. */
  end(isComplete: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#stall);
    clearTimeout(this.#limit);
    this.#unlisten();
    this.#stop.abort();
    this.#chunks?.return().catch(() => {});
    freeBytes(this.#chunk);
    this.#chunk = new Uint8Array();
    this.#options.stats.downloads[isComplete ? 'complete' : 'cut']++;
    this.#release();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(this.#stall);
    try {
      if (this.#at >= this.#chunkAt + this.#chunk.byteLength) await this.#nextChunk();
    } catch (error) {
      this.#giveUp(error);
      return;
    }
    if (this.#isOver) return;
    const from = this.#at - this.#chunkAt;
    const length = Math.min(PIECE_BYTES, this.#chunk.byteLength - from, this.#range.last + 1 - this.#at);
    this.#at += length;
    this.#options.stats.bytesOut += length;
    // A copy, so that the memory of the chunk can be given back while the last of it is still on its way.
    controller.enqueue(this.#chunk.slice(from, from + length));
    if (this.#at <= this.#range.last) {
      this.#awaitReader();
      return;
    }
    this.end(true);
    controller.close();
  }

  #awaitReader(): void {
    this.#stall = setTimeout(() => this.#giveUp(new Error('the reader is too slow')), PIECE_MS);
  }

  async #nextChunk(): Promise<void> {
    try {
      const { done, value } = await this.#chunks!.next();
      if (done) throw new Error('the download was given up');
      freeBytes(this.#chunk);
      this.#chunkAt = this.#at - (this.#at % CHUNK_BYTES);
      this.#chunk = value as Uint8Array<ArrayBuffer>;
    } catch (error) {
      if (error instanceof AtlasError && error.code === 'file_corrupt') {
        this.#options.stats.corruptChunks++;
        this.#options.onCorrupt(this.#file, error);
      }
      throw error;
    }
  }

  #giveUp(error: unknown): void {
    if (this.#isOver) return;
    this.#fail(error);
    this.end(false);
  }
}
