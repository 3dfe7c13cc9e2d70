import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
// Another apt may be at work, as on a machine that has just started.
const LOCK_TIMEOUT_SECONDS = 120;
let last: Promise<void> = Promise.resolve();

/**
 * Installs packages of Debian, one call after the other, since apt does not share its lists. Needs Debian and root; throws
 * an Error that says what failed, why, and what to do.
 */
export function installPackages(...names: string[]): Promise<void> {
  const mine = last.then(() => install(names));
  last = mine.catch(() => {});
  return mine;
}

/**
 * Ends and disables the service that a package started, which would hold a port: only its programs are used. Nothing runs
 * in most containers, so a failure to stop it says nothing.
 */
export function stopService(name: string): void {
  spawnSync('invoke-rc.d', ['--quiet', name, 'stop'], { stdio: 'ignore' });
  spawnSync('systemctl', ['disable', '--quiet', `${name}.service`], { stdio: 'ignore' });
}

async function install(names: readonly string[]): Promise<void> {
  const remedy = `install ${names.join(' ')} by hand, then run the command again`;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get'))
    throw new Error(
      `${names.join(' ')} cannot be installed here.\n  why:  it needs Debian and root\n  do:   ${remedy}`,
    );
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    maxBuffer: 64 << 20,
  };
  const flags = ['-q', '-y', '-o', `DPkg::Lock::Timeout=${LOCK_TIMEOUT_SECONDS}`];
  try {
    await run('apt-get', [...flags, 'update'], options);
    await run('apt-get', [...flags, '--no-install-recommends', 'install', ...names], options);
  } catch (error) {
    throw new Error(
      `${names.join(' ')} could not be installed.\n  why:  ${lastLines(error)}\n  do:   check that Debian's mirror can be reached, or ${remedy}`,
      { cause: error },
    );
  }
}

/** The end of what a failed command wrote, which mostly holds the reason. */
export function lastLines(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr?.trim() || String(message)).split('\n').slice(-3).join('\n        ');
}
