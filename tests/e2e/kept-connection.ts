import { connect, type Socket } from 'node:net';

interface Reply {
  readonly status: number;
  /** The status line and the header. */
  readonly head: string;
  readonly body: string;
  /** Whether the server closes the connection. */
  readonly closes: boolean;
}

/** One connection to a server, for requests one at a time. HTTP clients choose and replace connections on their own. */
export class KeptConnection {
  readonly #socket: Socket;
  #received = '';
  #settle: PromiseWithResolvers<Reply> | null = null;
  isOpen = true;

  constructor(port: number, host: string) {
    this.#socket = connect(port, host);
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (chunk: string) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#fail(error.message));
    this.#socket.on('close', () => this.#fail('closed without a response'));
  }

  /** Sends a request as it stands on the wire. Rejects if the connection ends before the response is complete. */
  exchange(request: string): Promise<Reply> {
    this.#settle = Promise.withResolvers();
    this.#socket.write(request);
    return this.#settle.promise;
  }

  end(): void {
    this.isOpen = false;
    this.#socket.destroy();
  }

  #read(chunk: string): void {
    this.#received += chunk;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#received.slice(0, headEnd);
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    if (Buffer.byteLength(this.#received) < Buffer.byteLength(head) + 4 + length) return;
    const body = this.#received.slice(headEnd + 4);
    this.#received = '';
    const closes = /^connection: close$/im.test(head);
    this.#settle?.resolve({ status: Number(head.split(' ')[1]), head, body, closes });
    this.#settle = null;
  }

  #fail(reason: string): void {
    this.isOpen = false;
    this.#settle?.reject(new Error(reason));
    this.#settle = null;
  }
}
