import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { undoAtEnd } from './clean-up.ts';
import { freshFolder } from './folders.ts';
import { inRepository, start, type Tree } from './processes.ts';
import { progress } from './progress.ts';

/**
 * Checks a revision out into a temporary worktree of the repository, with its packages. Returns null if the history does
 * not have it. The worktree is removed with the benchmark.
 */
export async function checkOut(revision: string): Promise<Tree | null> {
  if (Bun.which('git') === null) return null;
  const git = (...args: string[]) => Bun.spawnSync(['git', '-C', inRepository('.'), ...args]);
  if (git('rev-parse', '--quiet', '--verify', '--end-of-options', `${revision}^{commit}`).exitCode !== 0)
    return null;
  progress(`checking out ${revision}`);
  const root = join(freshFolder(), 'tree');
  undoAtEnd(() => {
    git('worktree', 'remove', '--force', root);
  });
  const { exitCode, stderr } = git('worktree', 'add', '--detach', root, revision);
  if (exitCode !== 0) throw new Error(`${revision} could not be checked out:\n${stderr}`);
  await addPackages(root);
  return { name: revision, root };
}

/** Links the packages of this tree, or installs those of the other one if its lockfile differs. */
async function addPackages(root: string): Promise<void> {
  const [mine, theirs] = [inRepository('bun.lock'), join(root, 'bun.lock')].map((path) => Bun.file(path));
  if ((await mine!.text()) === (await theirs!.text()))
    symlinkSync(inRepository('node_modules'), join(root, 'node_modules'));
  else {
    progress('installing its packages');
    await start([process.execPath, 'install', '--frozen-lockfile', '--cwd', root]).output;
  }
}
