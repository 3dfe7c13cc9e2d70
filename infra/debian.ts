import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
// Another apt may be at work, as on a machine that has just started.
const LOCK_TIMEOUT_SECONDS = 120;

/** Installs packages of Debian. Needs Debian and root; throws an Error that says what failed, why, and what to do. */
export async function installPackages(...names: string[]): Promise<void> {
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
