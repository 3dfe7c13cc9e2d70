import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages, lastLines } from './debian.ts';
import { toolsDir } from './oha.ts';

/** The version of toxiproxy, the proxy that tests break connections with, that is built and used. */
export const TOXIPROXY_VERSION = '2.5.0';
const PACKAGE = `github.com/Shopify/toxiproxy/v2/cmd/server@v${TOXIPROXY_VERSION}`;
const run = promisify(execFile);

/** The path of the pinned toxiproxy server, or null where it is not installed. */
export function findToxiproxy(): string | null {
  const server = serverPath();
  return existsSync(server) ? server : null;
}

/**
 * Builds the pinned server with Go, and installs Debian's Go where there is none. Throws what failed, why, and what to
 * do.
 */
export async function installToxiproxy(): Promise<void> {
  if (findToxiproxy() !== null) return;
  if (Bun.which('go') === null) await installPackages('golang-go', 'ca-certificates');
  await mkdir(toolsDir(), { recursive: true });
  const folder = await mkdtemp(join(toolsDir(), 'toxiproxy-build-'));
  // Without C, because Debian's Go comes without a compiler for it.
  const env = { ...process.env, GOBIN: folder, CGO_ENABLED: '0' };
  try {
    await run('go', ['install', PACKAGE], { env, maxBuffer: 64 << 20 });
    await mkdir(dirname(serverPath()), { recursive: true });
    // Renamed last and in one step: what stands under the name is always whole. Go names it after its package.
    await rename(join(folder, 'server'), serverPath());
  } catch (error) {
    throw new Error(
      `toxiproxy ${TOXIPROXY_VERSION} could not be built.\n  why:  ${lastLines(error)}\n  do:   check that the Go module proxy can be reached, then run the command again`,
      { cause: error },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The server tells no version of its own when Go built it, so its folder does. */
function serverPath(): string {
  return join(toolsDir(), 'toxiproxy', TOXIPROXY_VERSION, 'toxiproxy-server');
}
