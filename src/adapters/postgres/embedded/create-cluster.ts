import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.ts';
import { commandFor, type Identity } from './run-as.ts';

/** The user that owns the database. */
export const USER = 'atlas';
const run = promisify(execFile);

/** Makes the password of the server unless it has one. */
export async function makePassword(file: string): Promise<void> {
  if (await exists(file)) return;
  // Linked into place once complete, so that no crash leaves half of one.
  const draft = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(draft, randomBytes(24).toString('hex'), { mode: 0o600 });
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft);
}

/** Returns the password of the server. */
export async function readPassword(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trim();
}

/** Creates the cluster under a temporary name and renames it once complete: no crash leaves half a cluster. */
export async function createCluster(
  cluster: string,
  binaries: Binaries,
  identity: Identity | null,
  password: string,
): Promise<void> {
  const draft = `${cluster}.${randomBytes(4).toString('hex')}.new`;
  const passwordFile = `${draft}.password`;
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (identity) await chown(passwordFile, identity.uid, identity.gid);
  try {
    const flags = ['-D', draft, '-U', USER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8'];
    const { command, args, ids } = commandFor(identity, binaries.initdb, [
      ...flags,
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
    ]);
    await run(command, args, { ...ids, cwd: dirname(cluster), env: { ...process.env, LC_ALL: 'C' } });
    await rename(draft, cluster);
  } catch (error) {
    if (await exists(join(cluster, 'PG_VERSION'))) return;
    const { stderr } = error as { stderr?: string };
    throw new Error(
      `The embedded PostgreSQL could not be created.\n  why:  ${(stderr || String(error)).trim()}\n  do:   set DATABASE_URL, or ATLAS_DATA_DIR to a folder that the user postgres can reach`,
      { cause: error },
    );
  } finally {
    for (const path of [passwordFile, draft]) await rm(path, { recursive: true, force: true });
  }
}

/** Whether a file or folder exists. */
export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
