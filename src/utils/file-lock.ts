import { dlopen, type Pointer, read } from 'bun:ffi';

/** The result of trying to lock a file: `unsupported` if nothing here can lock it. */
export type LockResult = 'locked' | 'held' | 'unsupported';

/** Locks an open file. Returns 0, or the error number. */
type Flock = (fd: number, operation: number) => number;

const EXCLUSIVE_WITHOUT_WAITING = 2 | 4;
const EINTR = 4;
const IS_MAC = process.platform === 'darwin';
const EWOULDBLOCK = IS_MAC ? 35 : 11;
const MUSL = `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`;
const LIBRARIES = IS_MAC ? ['libSystem.B.dylib'] : ['libc.so.6', MUSL];
const ERROR_NUMBER = IS_MAC ? '__error' : '__errno_location';

let opened: Flock | null | undefined;

/**
 * Locks an open file against every other opening of it, without waiting. The lock belongs to the open file, not to its
 * name or to a process (flock(2)): it holds across bind mounts, renames, and namespaces, processes that inherit the
 * file share it, and the kernel releases it when the last of them has ended, however that happens.
 */
export function lockFile(fd: number): LockResult {
  if (opened === undefined) opened = openFlock();
  if (opened === null) return 'unsupported';
  for (;;) {
    const error = opened(fd, EXCLUSIVE_WITHOUT_WAITING);
    if (error === 0) return 'locked';
    if (error === EWOULDBLOCK) return 'held';
    // Such as a network file system without locks.
    if (error !== EINTR) return 'unsupported';
  }
}

/** Opens the C library, that of glibc, musl, or macOS, because Bun has no flock. Returns null if there is none. */
function openFlock(): Flock | null {
  for (const library of LIBRARIES) {
    try {
      const { symbols } = dlopen(library, {
        flock: { args: ['int', 'int'], returns: 'int' },
        [ERROR_NUMBER]: { args: [], returns: 'ptr' },
      } as const);
      const errorNumber = symbols[ERROR_NUMBER] as () => Pointer;
      return (fd, operation) => (symbols.flock(fd, operation) === 0 ? 0 : read.i32(errorNumber(), 0));
    } catch {
      // Not the library of this system.
    }
  }
  return null;
}
