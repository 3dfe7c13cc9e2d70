import { ptr } from 'bun:ffi';
import { readdirSync } from 'node:fs';
import { openCLibrary } from '../utils/c-library.ts';

const OWN_FILES = '/proc/self/fd';
const FUNCTIONS = {
  close: { args: ['int'], returns: 'int' },
  dup3: { args: ['int', 'int', 'int'], returns: 'int' },
  fcntl: { args: ['int', 'int', 'int'], returns: 'int' },
  getsockname: { args: ['int', 'ptr', 'ptr'], returns: 'int' },
  getsockopt: { args: ['int', 'int', 'int', 'ptr', 'ptr'], returns: 'int' },
  socket: { args: ['int', 'int', 'int'], returns: 'int' },
} as const;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;

/** Stops and continues accepting connections. */
export interface Gate {
  shut(): void;
  open(): void;
}

/**
 * Stops accepting connections within a turn of the event loop. Bun accepts, reads, and serves new connections until no
 * other waits, so clients that connect faster than that would end no turn, and nobody else would be served. While the
 * gate is shut, the descriptor that Bun accepts from is a socket that has no connections. Those that wait keep their
 * place in the queue of the kernel. Does nothing where this is not possible: it is on Linux only.
 */
export class AcceptGate implements Gate {
  #listening: ListeningSocket | null = null;
  #isShut = false;

  /** Call it once this process listens on the port. */
  attach(port: number): void {
    this.#listening = openListeningSocket(port);
  }

  shut(): void {
    if (!this.#isShut && this.#listening !== null) this.#isShut = this.#listening.replace();
  }

  open(): void {
    if (this.#isShut) this.#isShut = !this.#listening!.restore();
  }

  /** Opens it for good. Call it before Bun closes its descriptor: the number may be another file then. */
  end(): void {
    this.open();
    this.#listening?.release();
    this.#listening = null;
  }
}

/** A socket that Bun listens on. Its functions return whether they worked. */
interface ListeningSocket {
  /** Puts a socket without connections in its place. */
  replace(): boolean;
  restore(): boolean;
  release(): void;
}

function openListeningSocket(port: number): ListeningSocket | null {
  const c = openCLibrary(FUNCTIONS);
  if (c === null) return null;
  const value = new Int32Array(1);
  const length = new Uint32Array(1);
  const address = new DataView(new ArrayBuffer(128));

  function isListening(fd: number): boolean {
    value[0] = 0;
    length[0] = value.byteLength;
    return c!.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, ptr(value), ptr(length)) === 0 && value[0] === 1;
  }

  function portOf(fd: number): number {
    length[0] = address.byteLength;
    return c!.getsockname(fd, ptr(address), ptr(length)) === 0 ? address.getUint16(2) : -1;
  }

  const fd = ownDescriptors().find((each) => isListening(each) && portOf(each) === port);
  if (fd === undefined) return null;
  // The kernel reports connections of the socket for as long as any descriptor is open.
  const kept = c.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  const idle = c.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | CLOEXEC, 0);
  const release = () => {
    for (const each of [kept, idle]) if (each >= 0) c.close(each);
  };
  if (kept >= 0 && idle >= 0)
    return {
      replace: () => isListening(fd) && c.dup3(idle, fd, CLOEXEC) === fd,
      restore: () => c.dup3(kept, fd, CLOEXEC) === fd,
      release,
    };
  release();
  return null;
}

function ownDescriptors(): number[] {
  try {
    return readdirSync(OWN_FILES).map(Number);
  } catch {
    return [];
  }
}
