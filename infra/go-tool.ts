import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from './debian.ts';
import { buildTool, toolsDir } from './tool-build.ts';

// The oldest minor version that builds every tool (kubeconform 0.8 needs it), and the version to download otherwise.
const GO_MINOR_MIN = 26;
const GO_VERSION = '1.26.8';
const BUILD_TIMEOUT_MS = 15 * 60_000;
const execute = promisify(execFile);
let go: Promise<string> | null = null;

/** A program that Go builds at a pinned version. */
export interface GoTool {
  readonly name: string;
  readonly version: string;
  /** The argument of `go install`. */
  readonly packageVersion: string;
  /** Where it is installed. The path has the version, because few programs built by Go report theirs. */
  readonly path: string;
}

/** Names a tool by module or package and version; `program` is its file name. */
export function goTool(name: string, version: string, packagePath: string, program = name): GoTool {
  const path = join(toolsDir(), name, version, program);
  return { name, version, packageVersion: `${packagePath}@v${version}`, path };
}

/** Returns the path of an installed tool, or null. */
export function findGoTool(tool: GoTool): string | null {
  return existsSync(tool.path) ? tool.path : null;
}

/** Builds the tool if it is missing. Throws what failed, why, and what to do. */
export async function installGoTool(tool: GoTool): Promise<void> {
  if (findGoTool(tool) !== null) return;
  go ??= findGo();
  const command = await go;
  const texts = {
    failed: `${tool.name} ${tool.version} could not be built.`,
    remedy: 'check that the Go module proxy can be reached, then run the command again',
  };
  await buildTool(tool.name, texts, async (folder) => {
    await run(command, ['install', tool.packageVersion], folder, { GOBIN: folder });
    // Go names a program after the last element of its package path.
    const [built] = [...new Bun.Glob('*').scanSync({ cwd: folder })];
    await mkdir(dirname(tool.path), { recursive: true });
    await rename(join(folder, built!), tool.path);
  });
}

/** Runs Go in a folder and returns its output. Without cgo, because Debian's Go comes without a C compiler. */
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

/** Returns the Go of the machine if it is new enough, or else one that it, or Debian's Go, downloads as a module. */
async function findGo(): Promise<string> {
  if (Bun.which('go') === null) await installPackages('golang-go', 'ca-certificates');
  const [, minor] = /go1\.(\d+)/.exec(await run('go', ['version'], '/')) ?? [];
  if (Number(minor) >= GO_MINOR_MIN) return 'go';
  const home = join(toolsDir(), 'go', GO_VERSION);
  if (!existsSync(home)) await fetchGo(home);
  return join(home, 'bin', 'go');
}

/** Downloads a newer Go the way Go does: as a module, whose checksum Go verifies. */
async function fetchGo(home: string): Promise<void> {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const module = `golang.org/toolchain@v0.0.1-go${GO_VERSION}.${platform}`;
  const texts = {
    failed: `Go ${GO_VERSION} could not be downloaded.`,
    remedy: `install Go 1.${GO_MINOR_MIN} or newer, then run the command again`,
  };
  await mkdir(dirname(home), { recursive: true });
  await buildTool('go', texts, async (folder) => {
    const args = ['mod', 'download', '-modcacherw', '-json', module];
    const downloaded = JSON.parse(await run('go', args, folder, { GOMODCACHE: join(folder, 'modules') }));
    // A module carries no permissions, so its programs are not executable yet.
    for (const programs of ['bin/*', 'pkg/tool/*/*']) {
      for (const path of new Bun.Glob(programs).scanSync({ cwd: downloaded.Dir })) {
        await chmod(join(downloaded.Dir, path), 0o755);
      }
    }
    await rename(downloaded.Dir, home);
  });
}
