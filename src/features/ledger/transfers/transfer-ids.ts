import type { DerivedId } from '../movement.ts';

/** Derives the ids of transfers, so that a retry finds its transfer even when its key has expired. */
export interface TransferIds {
  /** Reads the secret, once. Returns null if it is known; otherwise a promise, which rejects like `Database.query`. */
  ready(): Promise<void> | null;
  /** Derives the id of the transfer at a position of a request. Requires {@link ready}. */
  derive(owner: string, key: string, index: number): DerivedId;
}

const SECRET_BYTES = 32;
const ID_BYTES = 16;
const digest = Buffer.alloc(32);

/**
 * Derives the id without a secret: from SHA-256 over owner, key, and position. Anybody can compute it for a key that
 * somebody else will use, so no transfer is posted under it any more.
 */
export function deriveFormerId(owner: string, key: string, index: number): string {
  Bun.SHA256.hash(`${owner}\0${key}\0${index}`, digest);
  return toUuidV8(digest);
}

/**
 * `readSecret` returns the 32 bytes that all hosts share. The id is derived from secret and former id, so SQL can do the
 * same for a host that knows only the former one. Both have a fixed length, so the plain hash is as good as an HMAC.
 */
export function createTransferIds(readSecret: () => Promise<Uint8Array>): TransferIds {
  const input = Buffer.alloc(SECRET_BYTES + ID_BYTES);
  let reading: Promise<void> | null = null;
  let isReady = false;

  async function read(): Promise<void> {
    try {
      input.set(await readSecret());
      isReady = true;
    } finally {
      reading = null;
    }
  }

  return {
    ready() {
      if (isReady) return null;
      reading ??= read();
      return reading;
    },
    derive(owner, key, index) {
      if (!isReady) throw new Error('The secret of transfer ids was not read.');
      const formerId = deriveFormerId(owner, key, index);
      digest.copy(input, SECRET_BYTES, 0, ID_BYTES);
      Bun.SHA256.hash(input, digest);
      return { id: toUuidV8(digest), formerId };
    },
  };
}

/** Makes the first 16 bytes a UUIDv8 (RFC 9562), and returns its text. */
function toUuidV8(bytes: Buffer): string {
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex', 0, ID_BYTES);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
