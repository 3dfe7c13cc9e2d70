import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { failure, lastLines } from './failure.ts';

const run = promisify(execFile);
// Another apt may hold the lock, as on a machine that has just booted.
const LOCK_TIMEOUT_SECONDS = 120;
let last: Promise<void> = Promise.resolve();

/**
 * Installs Debian packages. Concurrent calls run one at a time, because apt locks its lists. Needs Debian and root;
 * throws what failed, why, and what to do.
 */
export function installPackages(...names: string[]): Promise<void> {
  const mine = last.then(() => install(names));
  last = mine.catch(() => {});
  return mine;
}

/**
 * Stops and disables the service that a package started, which would hold a port: only its programs are needed. Most
 * containers have no service manager, so failures are ignored.
 */
export function stopService(name: string): void {
  spawnSync('invoke-rc.d', ['--quiet', name, 'stop'], { stdio: 'ignore' });
  spawnSync('systemctl', ['disable', '--quiet', `${name}.service`], { stdio: 'ignore' });
}

async function install(names: readonly string[]): Promise<void> {
  const list = names.join(' ');
  const remedy = `install ${list} by hand, then run the command again`;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
    throw failure(`${list} cannot be installed here.`, 'it needs Debian and root', remedy);
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 64 << 20,
  };
  const flags = ['-q', '-y', '-o', `DPkg::Lock::Timeout=${LOCK_TIMEOUT_SECONDS}`];
  try {
    await run('apt-get', [...flags, 'update'], options);
    await run('apt-get', [...flags, '--no-install-recommends', 'install', ...names], options);
  } catch (error) {
    const check = `check that Debian's mirror can be reached, or ${remedy}`;
    throw failure(`${list} could not be installed.`, lastLines(error), check, error);
  }
}
