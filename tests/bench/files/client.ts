import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const MIB = 1_048_576;
// So that Atlas takes it for a file of a type that it knows: gzip, whose contents can be anything.
const GZIP = Uint8Array.of(0x1f, 0x8b, 0x08);
const TIMEOUT_MS = 600_000;

/** What is read of a file as Atlas tells of it. */
interface Stored {
  readonly id: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** What went over the wire, and how long it took. */
export interface Transfer {
  readonly id: string;
  readonly sizeBytes: number;
  /** Hexadecimal, as the client made it of the bytes. */
  readonly sha256: string;
  readonly seconds: number;
}

/** Uploads and downloads files, and checks every byte. */
export interface FilesClient {
  /** Sends so many bytes as a stream; `halfway` is awaited after half of them. Throws unless they were stored. */
  upload(sizeBytes: number, halfway?: () => Promise<void>): Promise<Transfer>;
  /** Reads a file; `begun` is awaited after its first bytes. Throws unless the bytes are those that were sent. */
  download(file: Transfer, begun?: () => Promise<void>): Promise<Transfer>;
  delete(file: Transfer): Promise<void>;
}

export function filesClient(url: string, apiKey: string): FilesClient {
  // A connection of its own each: one that was kept may end, after its idle time, while a request is sent on it.
  const call = async (method: string, path: string, expected: number, init: RequestInit = {}) => {
    const headers = { Authorization: `Bearer ${apiKey}`, ...init.headers };
    const answer = await fetch(`${url}${path}`, {
      ...init,
      method,
      keepalive: false,
      headers,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (answer.status === expected) return answer;
    throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  };

  return {
    async upload(sizeBytes, halfway = async () => {}) {
      const hash = createHash('sha256');
      // One block sent again and again, with its number in it: making a gibibyte of random bytes would take longer.
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
      const answer = await call('POST', '/v1/files?name=bench.gz', 201, { headers, body: body() as never });
      const stored = (await answer.json()) as Stored;
      const seconds = (performance.now() - startMs) / 1000;
      const sha256 = hash.digest('hex');
      if (stored.sha256 !== sha256 || stored.sizeBytes !== sizeBytes)
        throw new Error(`Another file was stored than was sent: ${JSON.stringify(stored)}`);
      return { id: stored.id, sizeBytes, sha256, seconds };
    },

    async download(file, begun = async () => {}) {
      const startMs = performance.now();
      const answer = await call('GET', `/v1/files/${file.id}/content`, 200);
      const hash = createHash('sha256');
      let sizeBytes = 0;
      for await (const piece of answer.body!) {
        hash.update(piece);
        if (sizeBytes === 0) await begun();
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
