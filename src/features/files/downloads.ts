import { AtlasError } from '../../errors.ts';
import { CHUNK_BYTES } from '../../utils/chunk-bytes.ts';
import { freeBytes } from '../../utils/free-bytes.ts';
import { type ChunkCheck, createChunkCheck } from './chunk-digests.ts';
import type { ByteRange } from './content-range.ts';
import { type FileStats, objectKeyOf, type StoredFile, toTransferError } from './domain.ts';
import type { FileObjects, FileRepository } from './repository.ts';
import { TransferSlots, type TransferSource } from './transfer-slots.ts';
import { verifiedChunks } from './verified-chunks.ts';

// Each buffers a chunk or two, and what the server has not sent yet.
const DOWNLOADS_MAX = 64;
// A client may fetch several ranges at once.
const DOWNLOADS_OF_LINK_MAX = 8;
const PIECE_BYTES = 65_536;
// What is known about a key is up to 4 s old. With that, a download ends within 5 s after its key was revoked.
const FIRST_KEY_CHECK_MS = 1000;
const KEY_CHECK_MS = 4000;
// A reader slower than this (1 KiB/s) only occupies a slot that others need.
const PIECE_MS = 64_000;

/** Dependencies of {@link createDownloads}. */
export interface DownloadOptions {
  readonly repository: FileRepository;
  readonly objects: FileObjects;
  readonly stats: FileStats;
  readonly timeoutMs: number;
  readonly isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>;
  /** Reports a file whose bytes do not match their digests. */
  readonly onCorrupt: (file: StoredFile, error: AtlasError) => void;
}

interface DeliveryOptions extends DownloadOptions {
  readonly isChunk: ChunkCheck;
}

/** Who downloads. */
export interface DownloadSource extends TransferSource {
  /** The key that must stay usable; null for a link, which works without one until it expires. */
  readonly keyId: string | null;
}

/** Streams the bytes of files. Every byte is verified first. */
export interface Downloads {
  /**
   * Opens a range. Its first bytes are verified when this resolves; if later ones are damaged, or the key is revoked
   * or expires, the stream fails, which cuts the connection. Calls `ended` once, before the stream ends. Throws
   * `file_corrupt`, `overloaded`, and the errors of the store.
   */
  open(
    source: DownloadSource,
    file: StoredFile,
    range: ByteRange,
    signal: AbortSignal,
    ended: () => void,
  ): Promise<ReadableStream<Uint8Array>>;
}

export function createDownloads(given: DownloadOptions): Downloads {
  const { repository, stats } = given;
  const options: DeliveryOptions = { ...given, isChunk: createChunkCheck() };
  const slots = new TransferSlots({
    max: DOWNLOADS_MAX,
    perLinkMax: DOWNLOADS_OF_LINK_MAX,
    what: 'downloads',
    refused: stats.refused.downloads,
  });
  return {
    async open(source, file, range, signal, ended) {
      const leave = slots.enter(source);
      stats.downloadsInFlight = slots.inFlight;
      const delivery = new Delivery(file, range, source.keyId, options, () => {
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

/** One download in progress. Releases its resources exactly once, however it ends. */
class Delivery {
  readonly #file: StoredFile;
  readonly #range: ByteRange;
  readonly #keyId: string | null;
  readonly #options: DeliveryOptions;
  readonly #release: () => void;
  readonly #stop = new AbortController();
  #fail: (error: unknown) => void = () => {};
  #chunks: AsyncGenerator<Uint8Array, void, undefined> | null = null;
  #chunk = new Uint8Array();
  /** Offsets in the file of the chunk, and of the next byte to deliver. */
  #chunkAt = 0;
  #at: number;
  #stallTimer: Timer | undefined;
  #limitTimer: Timer | undefined;
  #nextKeyCheckMs = performance.now() + FIRST_KEY_CHECK_MS;
  #hasEnded = false;
  #removeListener = () => {};

  constructor(
    file: StoredFile,
    range: ByteRange,
    keyId: string | null,
    options: DeliveryOptions,
    release: () => void,
  ) {
    this.#file = file;
    this.#range = range;
    this.#keyId = keyId;
    this.#options = options;
    this.#release = release;
    this.#at = range.first;
  }

  async start(key: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const aborted = () => this.#abort(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    this.#removeListener = () => signal.removeEventListener('abort', aborted);
    signal.throwIfAborted();
    this.#limitTimer = setTimeout(
      () => this.#abort(new Error('the download took too long')),
      this.#options.timeoutMs,
    );
    const [first, last] = [this.#range.first, this.#range.last].map((at) => Math.floor(at / CHUNK_BYTES));
    this.#chunks = verifiedChunks(this.#options, this.#file, key, [first!, last!], this.#stop.signal);
    await this.#nextChunk();
    this.#startStallTimer();
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

  /** Releases its resources. Does nothing after the first call. */
  end(isComplete: boolean): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#stallTimer);
    clearTimeout(this.#limitTimer);
    this.#removeListener();
    this.#stop.abort();
    this.#chunks?.return().catch(() => {});
    freeBytes(this.#chunk);
    this.#chunk = new Uint8Array();
    this.#options.stats.downloads[isComplete ? 'complete' : 'cut']++;
    this.#release();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    clearTimeout(this.#stallTimer);
    try {
      await this.#requireKey();
      if (this.#at >= this.#chunkAt + this.#chunk.byteLength) await this.#nextChunk();
    } catch (error) {
      this.#abort(error);
      return;
    }
    if (this.#hasEnded) return;
    const from = this.#at - this.#chunkAt;
    const length = Math.min(PIECE_BYTES, this.#chunk.byteLength - from, this.#range.last + 1 - this.#at);
    this.#at += length;
    this.#options.stats.bytesOut += length;
    // A copy, so that the memory of the chunk can be freed while its last bytes are still being sent.
    controller.enqueue(this.#chunk.slice(from, from + length));
    if (this.#at <= this.#range.last) {
      this.#startStallTimer();
      return;
    }
    this.end(true);
    controller.close();
  }

  /** Throws if the key is not usable any more. While it cannot be checked, the download goes on. */
  async #requireKey(): Promise<void> {
    if (this.#keyId === null || performance.now() < this.#nextKeyCheckMs) return;
    const isUsable = await this.#options.isKeyUsable(this.#keyId, this.#stop.signal).catch(() => true);
    if (!isUsable) throw new Error('the API key was revoked or has expired');
    this.#nextKeyCheckMs = performance.now() + KEY_CHECK_MS;
  }

  #startStallTimer(): void {
    this.#stallTimer = setTimeout(() => this.#abort(new Error('the reader is too slow')), PIECE_MS);
  }

  async #nextChunk(): Promise<void> {
    try {
      const { done, value } = await this.#chunks!.next();
      if (done) throw new Error('the download was aborted');
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

  #abort(error: unknown): void {
    if (this.#hasEnded) return;
    this.#fail(error);
    this.end(false);
  }
}
