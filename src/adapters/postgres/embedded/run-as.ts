import { execFile } from 'node:child_process';
import { chown, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.ts';

const run = promisify(execFile);

/** The user that PostgreSQL runs as if Atlas is root: it refuses to run as root. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Whether that user cannot traverse the folders above the data or the binaries. */
  readonly shutOut: boolean;
}

/** Returns the user to run as and hands it the folder; null if Atlas is not root. Creates the user if it is missing. */
export async function chooseIdentity(home: string, binaries: Binaries): Promise<Identity | null> {
  if (process.getuid?.() !== 0) return null;
  const uid = await idOf('-u').catch(async () => {
    await run('groupadd', ['-f', 'postgres']);
    await run('useradd', ['--system', '-g', 'postgres', '-s', '/usr/sbin/nologin', 'postgres']);
    return idOf('-u');
  });
  const gid = await idOf('-g');
  await chown(home, uid, gid);
  return { uid, gid, shutOut: (await isShutOut(home)) || (await isShutOut(dirname(binaries.postgres))) };
}

async function idOf(flag: '-u' | '-g'): Promise<number> {
  return Number((await run('id', [flag, 'postgres'])).stdout);
}

/** Whether only its owner can traverse a folder above, such as the home folder of root. */
async function isShutOut(path: string): Promise<boolean> {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return true;
  }
  return false;
}

/** Runs a binary as the identity, with the capability to traverse the folders that would shut it out. */
export function commandFor(identity: Identity | null, binary: string, args: readonly string[]) {
  if (identity === null) return { command: binary, args: [...args], ids: {} };
  const ids = { uid: identity.uid, gid: identity.gid };
  if (!identity.shutOut) return { command: binary, args: [...args], ids };
  const caps = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  const as = [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups'];
  return { command: 'setpriv', args: [...as, ...caps, binary, ...args], ids: {} };
}
