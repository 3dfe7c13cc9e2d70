import { type Library, ptr } from 'bun:ffi';
import { closeSync, existsSync, openSync, readdirSync } from 'node:fs';
import { openCLibrary } from './c-library.ts';
import { canonicalAddress } from './ip-address.ts';

const FUNCTIONS = {
  getpeername: { args: ['int', 'ptr', 'ptr'], returns: 'int' },
  getsockopt: { args: ['int', 'int', 'int', 'ptr', 'ptr'], returns: 'int' },
  ioctl: { args: ['int', 'u64', 'ptr'], returns: 'int' },
} as const;
const OWN_FILES = '/proc/self/fd';
const SPARE_FILE = '/dev/null';
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
// `tcpi_bytes_received` of struct tcp_info, since Linux 4.1.
const RECEIVED_AT = 128;
const RECEIVED_END = 136;
const FIONREAD = 0x541bn;
const AF_INET = 2;
const AF_INET6 = 10;

/** Reports how much the sockets of this process have read, which the server does not. */
export interface SocketBytes {
  /** Returns the file descriptors of the connections with these peers (`peerOf`), of those that can be found now. */
  find(peers: ReadonlySet<string>): Map<string, number>;
  /** Returns the bytes that were read from a connection so far, or null if it is no longer that of this peer. */
  readBytes(fd: number, peer: string): number | null;
}

/** Names the other end of a connection. */
export function peerOf(address: string, port: number): string {
  return `${canonicalAddress(address) ?? address} ${port}`;
}

let opened: SocketBytes | null | undefined;

/**
 * Opens the C library, once in a process, because neither Bun nor Node.js has this. Returns null if the system is not
 * Linux, or shows no process its file descriptors. Call it early: it needs one, and keeps it for `find`.
 */
export function openSocketBytes(): SocketBytes | null {
  if (opened === undefined) opened = open();
  return opened;
}

function open(): SocketBytes | null {
  if (!existsSync(OWN_FILES)) return null;
  const c = openCLibrary(FUNCTIONS);
  return c === null ? null : socketBytes(c);
}

function socketBytes(c: Library<typeof FUNCTIONS>['symbols']): SocketBytes {
  const address = new DataView(new ArrayBuffer(128));
  const info = new DataView(new ArrayBuffer(256));
  const length = new Uint32Array(1);
  const unread = new Int32Array(1);
  let spare = reserve();

  function peer(fd: number): string | null {
    length[0] = address.byteLength;
    if (c.getpeername(fd, ptr(address), ptr(length)) !== 0) return null;
    const family = address.getUint16(0, true);
    const port = address.getUint16(2);
    if (family === AF_INET) return peerOf(bytesOf(4, 4).join('.'), port);
    if (family !== AF_INET6) return null;
    return peerOf(
      Array.from({ length: 8 }, (_, i) => address.getUint16(8 + 2 * i).toString(16)).join(':'),
      port,
    );
  }

  /** Lists the own descriptors, for which it needs one: without the spare one, connections could use up all of them. */
  function descriptors(): readonly string[] {
    try {
      if (spare !== null) closeSync(spare);
      return readdirSync(OWN_FILES);
    } catch {
      // Another thread took the spare one.
      return [];
    } finally {
      spare = reserve();
    }
  }

  const bytesOf = (at: number, count: number) => new Uint8Array(address.buffer, at, count);

  return {
    find(peers) {
      const found = new Map<string, number>();
      for (const name of descriptors()) {
        const connected = peer(Number(name));
        if (connected !== null && peers.has(connected)) found.set(connected, Number(name));
      }
      return found;
    },
    readBytes(fd, expected) {
      if (peer(fd) !== expected) return null;
      length[0] = info.byteLength;
      if (c.getsockopt(fd, IPPROTO_TCP, TCP_INFO, ptr(info), ptr(length)) !== 0) return null;
      if (length[0] < RECEIVED_END || c.ioctl(fd, FIONREAD, ptr(unread)) !== 0) return null;
      return Number(info.getBigUint64(RECEIVED_AT, true)) - unread[0]!;
    },
  };
}

function reserve(): number | null {
  try {
    return openSync(SPARE_FILE, 'r');
  } catch {
    return null;
  }
}
