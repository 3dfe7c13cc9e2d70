import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from './debian.ts';
import { failure, lastLines } from './failure.ts';

const run = promisify(execFile);

/** A command of a pinned Python package, in an environment of its own outside the repository. */
export interface PythonTool {
  readonly name: string;
  readonly version: string;
  /** Pinned packages that are installed beside it. */
  readonly others?: readonly string[];
}

/** Returns the folder of the commands of an installed tool, or null. */
export function findPythonTool({ name, version }: PythonTool): string | null {
  const folder = join(folderOf({ name, version }), 'bin');
  return existsSync(join(folder, name)) ? folder : null;
}

/** Installs the tool if it is missing. Throws what failed, why, and what to do. */
export async function installPythonTool(tool: PythonTool): Promise<void> {
  if (findPythonTool(tool) !== null) return;
  const { name, version, others = [] } = tool;
  const folder = folderOf(tool);
  await mkdir(dirname(folder), { recursive: true });
  await makeEnvironment(folder);
  try {
    const args = ['install', '--quiet', '--disable-pip-version-check', ...others, `${name}==${version}`];
    await run(join(folder, 'bin', 'pip'), args, { maxBuffer: 64 << 20 });
  } catch (error) {
    // A partial installation would be mistaken for a complete one.
    await rm(folder, { recursive: true, force: true });
    throw failure(
      `${name} ${version} could not be installed.`,
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

function folderOf({ name, version }: Pick<PythonTool, 'name' | 'version'>): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir() || tmpdir(), '.cache');
  return join(cache, 'atlas', name, version);
}
