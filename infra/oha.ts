import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The version of oha, the load generator of the benchmarks, that is built and used. */
export const OHA_VERSION = '1.16.0';
const COMPILING = /^\s*Compiling (\S+)/;
const STEP_CRATES = 25;

/** Where tools are kept between runs and clones: outside the repository, since building one takes minutes. */
export function toolsDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'atlas', 'tools');
}

/**
 * Answers the path of oha at the pinned version, and builds it with Cargo where it is missing (about eight minutes, once).
 * Throws with what to do when there is no Cargo or the build fails.
 */
export async function installOha(onProgress: (text: string) => void = () => {}): Promise<string> {
  const oha = join(toolsDir(), 'bin', process.platform === 'win32' ? 'oha.exe' : 'oha');
  if (await isPinned(oha)) return oha;
  const cargo = Bun.which('cargo');
  if (cargo === null) {
    throw new Error(
      `oha ${OHA_VERSION} is not installed.\n  why:  it is built with Cargo, and there is none on the PATH\n  do:   install Rust, then run the command again`,
    );
  }
  onProgress(`building oha ${OHA_VERSION} with Cargo; this takes about eight minutes, once`);
  await mkdir(toolsDir(), { recursive: true });
  await build(cargo, onProgress);
  if (await isPinned(oha)) return oha;
  throw new Error(
    `oha ${OHA_VERSION} was built but does not run.\n  why:  ${oha} did not tell that version\n  do:   delete it and run the command again`,
  );
}

async function isPinned(oha: string): Promise<boolean> {
  if (!existsSync(oha)) return false;
  const told = Bun.spawnSync([oha, '--version'], { stderr: 'ignore' }).stdout.toString();
  return told.trim() === `oha ${OHA_VERSION}`;
}

async function build(cargo: string, onProgress: (text: string) => void): Promise<void> {
  const command = [
    cargo,
    'install',
    '--locked',
    '--force',
    '--version',
    OHA_VERSION,
    '--root',
    toolsDir(),
    'oha',
  ];
  const child = Bun.spawn(command, { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
  let crates = 0;
  let rest = '';
  const lastLines: string[] = [];
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      lastLines.push(line);
      if (lastLines.length > 20) lastLines.shift();
      const crate = COMPILING.exec(line)?.[1];
      if (crate !== undefined && ++crates % STEP_CRATES === 0)
        onProgress(`compiled ${crates} crates, now ${crate}`);
    }
  }
  if ((await child.exited) === 0) return;
  throw new Error(
    `oha could not be built.\n  why:  ${lastLines.join('\n        ')}\n  do:   check that the crates registry can be reached, then run the command again`,
  );
}
