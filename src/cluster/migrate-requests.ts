import { readFileSync, writeFileSync } from 'node:fs';

const SETTING = '/proc/sys/net/ipv4/tcp_migrate_req';

/**
 * Whether the kernel moves pending connections of a closing listener to another listener on the same port
 * (`net.ipv4.tcp_migrate_req`, Linux 5.14 and newer). If not, replacing a worker resets them. Null if the kernel has
 * no such setting.
 */
export function migratesRequests(): boolean | null {
  try {
    return readFileSync(SETTING, 'utf8').trim() === '1';
  } catch {
    return null;
  }
}

/** Enables this for listeners opened later, if permitted. Returns {@link migratesRequests}. */
export function migrateRequests(): boolean | null {
  if (migratesRequests() === false) {
    try {
      writeFileSync(SETTING, '1');
    } catch {
      // Not root, or a container with read-only settings: `doctor` explains the consequences.
    }
  }
  return migratesRequests();
}
