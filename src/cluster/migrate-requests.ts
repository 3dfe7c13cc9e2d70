import { readFileSync, writeFileSync } from 'node:fs';

const SETTING = '/proc/sys/net/ipv4/tcp_migrate_req';

/**
 * Whether the kernel hands connections that wait on a listener which closes to another one of the same port
 * (`net.ipv4.tcp_migrate_req`, Linux 5.14 and newer). Where it does not, the replacement of a worker resets them. Null
 * where there is no such setting.
 */
export function migratesRequests(): boolean | null {
  try {
    return readFileSync(SETTING, 'utf8').trim() === '1';
  } catch {
    return null;
  }
}

/** Turns that on where it is permitted, for listeners opened afterwards, and answers {@link migratesRequests}. */
export function migrateRequests(): boolean | null {
  if (migratesRequests() === false) {
    try {
      writeFileSync(SETTING, '1');
    } catch {
      // Not root, or a container whose settings are read-only: `doctor` tells what that means.
    }
  }
  return migratesRequests();
}
