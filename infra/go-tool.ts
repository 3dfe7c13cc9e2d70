import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages, lastLines } from './debian.ts';
import { toolsDir } from './oha.ts';

/** The newest that a tool asks for (kubeconform 0.8), and what is fetched where there is none as new. */
const GO_MINOR_MIN = 26;
const GO_VERSION = '1.26.8';
const BUILD_TIMEOUT_MS = 15 * 60_000;
const execute = promisify(execFile);
let go: Promise<string> | null = null;

/** A program that Go builds at a pinned version. */
export interface GoTool {
  readonly name: string;
  readonly version: string;
  /** What `go install` takes. */
  readonly packageVersion: string;
  /** Where it stands once it is built. Few of them tell a version when Go built them, so the folder does. */
  readonly path: string;
}

/** Names a tool by module or package and version; `program` is what its file is called. */
export function goTool(name: string, version: string, packagePath: string, program = name): GoTool {
  const path = join(toolsDir(), name, version, program);
  return { name, version, packageVersion: `${packagePath}@v${version}`, path };
}

/** The path of a tool that was built, or null. */
export function findGoTool(tool: GoTool): string | null {
  return existsSync(tool.path) ? tool.path : null;
}

/** Builds the tool where it is missing. Throws what failed, why, and what to do. */
export async function installGoTool(tool: GoTool): Promise<void> {
  if (findGoTool(tool) !== null) return;
  go ??= findGo();
  const command = await go;
  await mkdir(toolsDir(), { recursive: true });
  const folder = await mkdtemp(join(toolsDir(), `${tool.name}-build-`));
  try {
    await run(command, ['install', tool.packageVersion], folder, { GOBIN: folder });
    // Go names a program after the last part of its package, whatever that is.
    const [built] = [...new Bun.Glob('*').scanSync({ cwd: folder })];
    await mkdir(dirname(tool.path), { recursive: true });
    // Renamed last and in one step: what stands under the name is always whole.
    await rename(join(folder, built!), tool.path);
  } catch (error) {
    throw new Error(
      `${tool.name} ${tool.version} could not be built.\n  why:  ${lastLines(error)}\n  do:   check that the Go module proxy can be reached, then run the command again`,
      { cause: error },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs Go in a folder and answers what it wrote. Without C, because Debian's Go comes without a compiler for it. */
async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const ours = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', ...env };
  const { stdout } = await execute(command, args, {
    cwd,
    env: ours,
    maxBuffer: 64 << 20,
    timeout: BUILD_TIMEOUT_MS,
  });
  return stdout;
}

/** The Go of the machine where it is new enough, else one that its Go, or Debian's, fetches as a module. */
async function findGo(): Promise<string> {
  if (Bun.which('go') === null) await installPackages('golang-go', 'ca-certificates');
  const [, minor] = /go1\.(\d+)/.exec(await run('go', ['version'], '/')) ?? [];
  if (Number(minor) >= GO_MINOR_MIN) return 'go';
  const home = join(toolsDir(), 'go', GO_VERSION);
  if (!existsSync(home)) await fetchGo(home);
  return join(home, 'bin', 'go');
}

/** Go's own way to a newer Go: toolchains are modules, and their sums are checked like those of any other module. */
async function fetchGo(home: string): Promise<void> {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const module = `golang.org/toolchain@v0.0.1-go${GO_VERSION}.${platform}`;
  await mkdir(dirname(home), { recursive: true });
  const folder = await mkdtemp(join(toolsDir(), 'go-build-'));
  try {
    const args = ['mod', 'download', '-modcacherw', '-json', module];
    const told = JSON.parse(await run('go', args, folder, { GOMODCACHE: join(folder, 'modules') }));
    // A module carries no permissions, so its programs must be told to be programs.
    for (const programs of ['bin/*', 'pkg/tool/*/*']) {
      for (const path of new Bun.Glob(programs).scanSync({ cwd: told.Dir })) {
        await chmod(join(told.Dir, path), 0o755);
      }
    }
    await rename(told.Dir, home);
  } catch (error) {
    throw new Error(
      `Go ${GO_VERSION} could not be fetched.\n  why:  ${lastLines(error)}\n  do:   install Go 1.${GO_MINOR_MIN} or newer, then run the command again`,
      { cause: error },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
