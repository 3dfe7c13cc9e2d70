import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from './failure.ts';
import { toolsDir } from './tool-build.ts';

/** The pinned version of oha, the load generator of the benchmarks. */
export const OHA_VERSION = '1.16.0';
const COMPILING = /^\s*Compiling (\S+)/;
const STEP_CRATES = 25;

/**
 * Returns the path of the pinned oha, after building it with Cargo if it is missing (about eight minutes, once). Throws
 * what to do if there is no Cargo or the build fails.
 */
export async function installOha(onProgress: (text: string) => void = () => {}): Promise<string> {
  const oha = join(toolsDir(), 'bin', process.platform === 'win32' ? 'oha.exe' : 'oha');
  if (await isPinned(oha)) return oha;
  const cargo = Bun.which('cargo');
  if (cargo === null) {
    throw failure(
      `oha ${OHA_VERSION} is not installed.`,
      'Cargo builds it, and there is no cargo on the PATH',
      'install Rust, then run the command again',
    );
  }
  onProgress(`building oha ${OHA_VERSION} with Cargo; this takes about eight minutes, once`);
  await mkdir(toolsDir(), { recursive: true });
  await build(cargo, onProgress);
  if (await isPinned(oha)) return oha;
  throw failure(
    `oha ${OHA_VERSION} was built but does not run.`,
    `${oha} did not report that version`,
    'delete it and run the command again',
  );
}

async function isPinned(oha: string): Promise<boolean> {
  if (!existsSync(oha)) return false;
  const version = Bun.spawnSync([oha, '--version'], { stderr: 'ignore' }).stdout.toString();
  return version.trim() === `oha ${OHA_VERSION}`;
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
  const lastOutput: string[] = [];
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      lastOutput.push(line);
      if (lastOutput.length > 20) lastOutput.shift();
      const crate = COMPILING.exec(line)?.[1];
      if (crate !== undefined && ++crates % STEP_CRATES === 0)
        onProgress(`compiled ${crates} crates, now ${crate}`);
    }
  }
  if ((await child.exited) === 0) return;
  throw failure(
    'oha could not be built.',
    lastOutput.join('\n        '),
    'check that the crates registry can be reached, then run the command again',
  );
}
