import { closeSync, ftruncateSync, openSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type LockResult, lockFile } from '../../../utils/file-lock.ts';

/** The process that took the lock, and where it runs. The server that it started inherits the lock. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  /** The running kernel and its process namespace. A pid means nothing in another one. */
  readonly namespace: string;
}

/**
 * The lock of an embedded cluster. The server inherits it, so it is held exactly as long as a process of a server has
 * the data open: after Atlas was killed, through any name of the folder, and from any container.
 */
export interface ClusterLock {
  readonly fd: number;
  /** Takes the lock if it is free. Then nothing else runs on the cluster, except a server of an older release. */
  take(): LockResult;
  /** Returns the last process that took the lock, or null if it is unknown. */
  holder(): Holder | null;
  /** Closes the file: this process gives up the lock, and a server that inherited it keeps it. */
  close(): void;
}

const NOTICE = 'The lock is on the open file, so a file that is left over locks nothing. Do not delete it.';

/** Opens the lock of the cluster in the folder. Changes nothing but to create its file. */
export function openClusterLock(folder: string): ClusterLock {
  const path = join(folder, 'lock');
  const fd = openSync(path, 'a+', 0o600);
  let isOpen = true;
  return {
    fd,
    take() {
      const result = lockFile(fd);
      if (result === 'locked') writeHolder(fd);
      return result;
    },
    holder: () => readHolder(path),
    close() {
      // The number may belong to another file by then.
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

/** Whether the process runs in another container, process namespace, or host, so that nothing here can see it. */
export function isElsewhere(holder: Holder): boolean {
  return holder.namespace !== ownNamespace();
}

/** Writes who has the lock, for the messages of others. On a full disk they do without. */
function writeHolder(fd: number): void {
  const holder: Holder = { pid: process.pid, host: hostname(), namespace: ownNamespace() };
  try {
    ftruncateSync(fd);
    writeSync(fd, `${JSON.stringify(holder)}\n${NOTICE}\n`);
  } catch {
    // The lock holds all the same.
  }
}

function readHolder(path: string): Holder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8').split('\n')[0]!) as Holder;
  } catch {
    // It is being written.
    return null;
  }
}

/** The first process namespace has the same number on every host, so the boot id of the kernel is part of the name. */
function ownNamespace(): string {
  if (process.platform !== 'linux') return hostname();
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
}
