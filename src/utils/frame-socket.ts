import { chmodSync, rmSync } from 'node:fs';
import type { Socket, SocketHandler } from 'bun';

/** What a connection does with its frames. `onClosed` is called once, whichever end closed it. */
export interface FrameHandlers {
  onFrame(frame: unknown): void;
  onClosed(): void;
}

/** Accepts connections until it is closed. Open connections stay. */
export interface FrameListener {
  close(): void;
}

/** The largest frame, and the most that may wait for a peer that does not read. Beyond them the connection closes. */
export const FRAME_BYTES_MAX = 4 * 1024 * 1024;
const UNSENT_BYTES_MAX = 16 * 1024 * 1024;
const HEADER_BYTES = 4;

/**
 * A connection over a Unix domain socket that carries JSON in frames, each preceded by its length in bytes. It closes
 * on anything that is not valid.
 */
export class FrameConnection {
  readonly #socket: Socket<FrameConnection>;
  readonly #handlers: FrameHandlers;
  #isClosed = false;
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** Bytes after which the next frame may be complete. */
  #neededBytes = HEADER_BYTES;

  private constructor(socket: Socket<FrameConnection>, open: (connection: FrameConnection) => FrameHandlers) {
    this.#socket = socket;
    this.#handlers = open(this);
  }

  /** Connects to a listener. Rejects if nothing listens there. */
  static async connect(
    path: string,
    open: (connection: FrameConnection) => FrameHandlers,
  ): Promise<FrameConnection> {
    const socket = await Bun.connect<FrameConnection>({ unix: path, socket: FrameConnection.#events(open) });
    return socket.data;
  }

  /** Listens on a path, which is replaced if it exists. Only the user of this process may connect. */
  static listen(path: string, open: (connection: FrameConnection) => FrameHandlers): FrameListener {
    rmSync(path, { force: true });
    const mask = process.umask(0o177);
    try {
      const listener = Bun.listen<FrameConnection>({ unix: path, socket: FrameConnection.#events(open) });
      chmodSync(path, 0o600);
      return {
        close() {
          listener.stop();
          rmSync(path, { force: true });
        },
      };
    } finally {
      process.umask(mask);
    }
  }

  static #events(open: (connection: FrameConnection) => FrameHandlers): SocketHandler<FrameConnection> {
    return {
      open(socket) {
        socket.data = new FrameConnection(socket, open);
      },
      data: (socket, bytes) => socket.data.#receive(bytes),
      drain: (socket) => socket.data.#flush(),
      error: (socket) => socket.data.close(),
      close: (socket) => socket.data?.close(),
    };
  }

  /** Bytes that wait for the peer to read. */
  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  /** Sends a JSON text. Closes the connection if the frame is too large, or if too much is unsent. */
  send(json: string): void {
    if (this.#isClosed) return;
    const length = Buffer.byteLength(json);
    if (length > FRAME_BYTES_MAX || this.#unsentBytes + length > UNSENT_BYTES_MAX) {
      this.close();
      return;
    }
    const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
    frame.writeUInt32BE(length, 0);
    frame.write(json, HEADER_BYTES);
    this.#unsent.push(frame);
    this.#unsentBytes += frame.length;
    if (this.#unsent.length === 1) this.#flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.end();
    this.#unsent = [];
    this.#unsentBytes = 0;
    this.#handlers.onClosed();
  }

  #flush(): void {
    while (this.#unsent.length > 0) {
      const frame = this.#unsent[0]!;
      const written = Math.max(0, this.#socket.write(frame));
      this.#unsentBytes -= written;
      if (written < frame.length) {
        this.#unsent[0] = frame.subarray(written);
        return;
      }
      this.#unsent.shift();
    }
  }

  #receive(bytes: Buffer): void {
    if (this.#isClosed) return;
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes < this.#neededBytes) {
      // The runtime reuses the memory of the buffers it passes.
      this.#received.push(Buffer.from(bytes));
      return;
    }
    const all = this.#received.length === 0 ? bytes : Buffer.concat([...this.#received, bytes]);
    const at = this.#handleFrames(all);
    this.#receivedBytes = all.length - at;
    this.#received = at === all.length ? [] : [Buffer.from(all.subarray(at))];
  }

  /** Handles all complete frames. Returns where the incomplete one starts. */
  #handleFrames(bytes: Buffer): number {
    let at = 0;
    while (!this.#isClosed) {
      const left = bytes.length - at;
      const length = left < HEADER_BYTES ? 0 : bytes.readUInt32BE(at);
      this.#neededBytes = HEADER_BYTES + length;
      if (length > FRAME_BYTES_MAX) this.close();
      if (left < this.#neededBytes) break;
      this.#handleFrame(bytes.toString('utf8', at + HEADER_BYTES, at + this.#neededBytes));
      at += this.#neededBytes;
    }
    return at;
  }

  #handleFrame(json: string): void {
    let frame: unknown;
    try {
      frame = JSON.parse(json);
    } catch {
      this.close();
      return;
    }
    this.#handlers.onFrame(frame);
  }
}
