import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const MIB = 1_048_576;
// The magic bytes of gzip, a type that Atlas accepts and whose content can be arbitrary.
const GZIP = Uint8Array.of(0x1f, 0x8b, 0x08);
const TIMEOUT_MS = 600_000;

/** The members of a file resource that the benchmark reads. */
interface Stored {
  readonly id: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The result of an upload or a download. */
export interface Transfer {
  readonly id: string;
  readonly sizeBytes: number;
  /** Hexadecimal, computed by the client. */
  readonly sha256: string;
  readonly seconds: number;
}

/** Uploads and downloads files, and checks every byte. */
export interface FilesClient {
  /** Uploads a stream. Awaits `halfway` after half of the bytes. Throws unless all were stored. */
  upload(sizeBytes: number, halfway?: () => Promise<void>): Promise<Transfer>;
  /** Downloads a file. Awaits `started` after the first bytes. Throws unless the bytes are those that were sent. */
  download(file: Transfer, started?: () => Promise<void>): Promise<Transfer>;
  delete(file: Transfer): Promise<void>;
}

export function filesClient(url: string, apiKey: string): FilesClient {
  // A new connection for each request: a kept one may reach its idle timeout while a request is sent on it.
  const call = async (method: string, path: string, expected: number, init: RequestInit = {}) => {
    const headers = { Authorization: `Bearer ${apiKey}`, ...init.headers };
    const response = await fetch(`${url}${path}`, {
      ...init,
      method,
      keepalive: false,
      headers,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status === expected) return response;
    throw new Error(`${method} ${path} returned ${response.status}: ${await response.text()}`);
  };

  return {
    async upload(sizeBytes, halfway = async () => {}) {
      const hash = createHash('sha256');
      // One block is sent repeatedly, with its offset in it: a gibibyte of random bytes would take too long to generate.
      const block = randomBytes(MIB);
      async function* body() {
        for (let sent = 0; sent < sizeBytes; sent += MIB) {
          block.writeDoubleLE(sent, 16);
          const piece = new Uint8Array(block.subarray(0, Math.min(MIB, sizeBytes - sent)));
          if (sent === 0) piece.set(GZIP);
          hash.update(piece);
          yield piece;
          if (sent < sizeBytes / 2 && sent + MIB >= sizeBytes / 2) await halfway();
        }
      }
      const startMs = performance.now();
      const headers = { 'Content-Type': 'application/gzip' };
      const response = await call('POST', '/v1/files?name=bench.gz', 201, { headers, body: body() as never });
      const stored = (await response.json()) as Stored;
      const seconds = (performance.now() - startMs) / 1000;
      const sha256 = hash.digest('hex');
      if (stored.sha256 !== sha256 || stored.sizeBytes !== sizeBytes)
        throw new Error(`The stored file differs from what was sent: ${JSON.stringify(stored)}`);
      return { id: stored.id, sizeBytes, sha256, seconds };
    },

    async download(file, started = async () => {}) {
      const startMs = performance.now();
      const response = await call('GET', `/v1/files/${file.id}/content`, 200);
      const hash = createHash('sha256');
      let sizeBytes = 0;
      for await (const piece of response.body!) {
        hash.update(piece);
        if (sizeBytes === 0) await started();
        sizeBytes += piece.byteLength;
      }
      const sha256 = hash.digest('hex');
      if (sha256 !== file.sha256)
        throw new Error(`Other bytes were delivered: ${sizeBytes} of ${file.sizeBytes}`);
      return { ...file, seconds: (performance.now() - startMs) / 1000 };
    },

    async delete({ id }) {
      await call('DELETE', `/v1/files/${id}`, 204);
    },
  };
}

/** Opens a socket to the server of the URL. */
export async function connectTo(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return socket;
}
