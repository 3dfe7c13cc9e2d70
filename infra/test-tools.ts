import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from './debian.ts';
import { failure, lastLines } from './failure.ts';

const run = promisify(execFile);
const CHROMIUM = '/usr/bin/chromium';
const SCHEMATHESIS_VERSION = '4.32.5';

/** Returns the path of Debian's Chromium, or null if it is not installed. */
export function findChromium(): string | null {
  return existsSync(CHROMIUM) ? CHROMIUM : null;
}

export async function installChromium(): Promise<void> {
  if (findChromium() === null) await installPackages('chromium');
}

/** Returns the path of the pinned schemathesis, or null if {@link installSchemathesis} has not installed it. */
export function findSchemathesis(): string | null {
  const command = join(schemathesisFolder(), 'bin', 'schemathesis');
  return existsSync(command) ? command : null;
}

/** Installs schemathesis in its own Python environment, outside the repository. Throws what failed, why, what to do. */
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
    // A partial installation would be mistaken for a complete one.
    await rm(folder, { recursive: true, force: true });
    throw failure(
      `schemathesis ${SCHEMATHESIS_VERSION} could not be installed.`,
      lastLines(error),
      'check that the Python package index can be reached, then run the command again',
      error,
    );
  }
}

/** Creates an empty Python environment in the folder, and installs Debian's Python if the machine's cannot. */
export async function makeEnvironment(folder: string): Promise<void> {
  const make = (python: string) => run(python, ['-m', 'venv', '--clear', folder]);
  try {
    await make('python3');
  } catch {
    // Debian's python3, if installed, comes without the venv module.
    await installPackages('python3', 'python3-venv');
    await make('/usr/bin/python3');
  }
}

function schemathesisFolder(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir() || tmpdir(), '.cache');
  return join(cache, 'atlas', 'schemathesis', SCHEMATHESIS_VERSION);
}
