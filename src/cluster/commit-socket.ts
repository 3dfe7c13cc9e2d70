import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { socketPath } from './socket-path.ts';

/** Creates the data folder, and returns the path of the socket on which a worker accepts the payments of the others. */
export function prepareCommitSocket(
  dataDir: string,
  port: number,
  { slot, incarnation }: { readonly slot: number; readonly incarnation: number },
): string {
  mkdirSync(dataDir, { recursive: true });
  return socketPath(dataDir, `commit-${port}-${slot}-${incarnation}.sock`, 'its commit socket');
}

/** Removes what killed workers of an earlier start left. The process that owns the port also owns these sockets. */
export function removeCommitSockets(dataDir: string, port: number): void {
  mkdirSync(dataDir, { recursive: true });
  for (const name of readdirSync(dataDir))
    if (name.startsWith(`commit-${port}-`)) rmSync(join(dataDir, name), { force: true });
}
