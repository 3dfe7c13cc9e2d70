import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages, lastLines } from './debian.ts';

const run = promisify(execFile);
const CHROMIUM = '/usr/bin/chromium';
const SCHEMATHESIS_VERSION = '4.32.5';

/** Debian's browser, or null where it is not installed. */
export function findChromium(): string | null {
  return existsSync(CHROMIUM) ? CHROMIUM : null;
}

export async function installChromium(): Promise<void> {
  if (findChromium() === null) await installPackages('chromium');
}

/** The pinned schemathesis that {@link installSchemathesis} put in place, or null. */
export function findSchemathesis(): string | null {
  const command = join(schemathesisFolder(), 'bin', 'schemathesis');
  return existsSync(command) ? command : null;
}

/** Puts schemathesis into a Python environment of its own, outside the repository. Throws what failed, why, what to do. */
export async function installSchemathesis(): Promise<void> {
  if (findSchemathesis() !== null) return;
  const folder = schemathesisFolder();
  await mkdir(dirname(folder), { recursive: true });
  await makeEnvironment(folder);
  try {
    const args = [
      'install',
      '--quiet',
      '--disable-pip-version-check',
      `schemathesis==${SCHEMATHESIS_VERSION}`,
    ];
    await run(join(folder, 'bin', 'pip'), args, { maxBuffer: 64 << 20 });
  } catch (error) {
    // What is half installed would be taken for whole the next time.
    await rm(folder, { recursive: true, force: true });
    throw new Error(
      `schemathesis ${SCHEMATHESIS_VERSION} could not be installed.\n  why:  ${lastLines(error)}\n  do:   check that the Python package index can be reached, then run the command again`,
      { cause: error },
    );
  }
}

/** Makes an empty Python environment in the folder, with Debian's Python where there is none that can. */
export async function makeEnvironment(folder: string): Promise<void> {
  const make = (python: string) => run(python, ['-m', 'venv', '--clear', folder]);
  try {
    await make('python3');
  } catch {
    // Debian's python3 comes without what makes an environment, where it comes at all.
    await installPackages('python3', 'python3-venv');
    await make('/usr/bin/python3');
  }
}

function schemathesisFolder(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir() || tmpdir(), '.cache');
  return join(cache, 'atlas', 'schemathesis', SCHEMATHESIS_VERSION);
}
