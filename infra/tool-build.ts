import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { failure, lastLines } from './failure.ts';

const LEFTOVER_AGE_MS = 24 * 60 * 60_000;

/** Where tools are cached across runs and clones: outside the repository, because building one takes minutes. */
export function toolsDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'atlas', 'tools');
}

/**
 * Builds a tool in a temporary folder on the file system of {@link toolsDir}, which is removed afterwards. `build`
 * renames its result into place as the last step, so that a tool is there whole or not at all. Throws what failed, why,
 * and what to do.
 */
export async function buildTool(
  name: string,
  { failed, remedy }: { readonly failed: string; readonly remedy: string },
  build: (folder: string) => Promise<void>,
): Promise<void> {
  await mkdir(toolsDir(), { recursive: true });
  const folder = await mkdtemp(join(toolsDir(), `${name}-build-`));
  try {
    await build(folder);
  } catch (error) {
    throw failure(failed, lastLines(error), remedy, error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes the folders of builds that were killed. Recent ones may belong to a build that is running. */
export async function removeAbandonedBuilds(): Promise<void> {
  const names = await readdir(toolsDir()).catch(() => [] as string[]);
  for (const name of names.filter((name) => /-build-\w{6}$/.test(name))) {
    const folder = join(toolsDir(), name);
    const ageMs = Date.now() - (await stat(folder)).mtimeMs;
    if (ageMs > LEFTOVER_AGE_MS) await rm(folder, { recursive: true, force: true });
  }
}
