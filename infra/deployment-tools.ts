import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages, lastLines, stopService } from './debian.ts';
import { findGoTool, goTool, installGoTool } from './go-tool.ts';
import { toolsDir } from './oha.ts';
import { makeEnvironment } from './test-tools.ts';

/** The version of Kubernetes whose schemas manifests are checked against. */
export const KUBERNETES_VERSION = '1.37.0';
const KUBECONFORM = goTool('kubeconform', '0.8.0', 'github.com/yannh/kubeconform/cmd/kubeconform');
const KUSTOMIZE = goTool('kustomize', '5.7.1', 'sigs.k8s.io/kustomize/kustomize/v5');
// The parser inside of Docker Compose 2.40.3, which takes ten times as long to build and finds little more.
const COMPOSE = goTool('compose-go', '2.9.1', 'github.com/compose-spec/compose-go/v2/cmd');
const SCHEMAS_TIMEOUT_MS = 5 * 60_000;
const run = promisify(execFile);

/** The program that checks Kubernetes manifests, with where its schemas are (`-schema-location`), or null. */
export function findKubeconform(): { readonly binary: string; readonly schemas: string } | null {
  const binary = findGoTool(KUBECONFORM);
  if (binary === null || !existsSync(schemasFolder())) return null;
  return { binary, schemas: join(schemasFolder(), '{{.ResourceKind}}{{.KindSuffix}}.json') };
}

export async function installKubeconform(): Promise<void> {
  await installGoTool(KUBECONFORM);
  if (!existsSync(schemasFolder())) await installSchemas();
}

/** The program that puts Kubernetes manifests together, or null. */
export function findKustomize(): string | null {
  return findGoTool(KUSTOMIZE);
}

export function installKustomize(): Promise<void> {
  return installGoTool(KUSTOMIZE);
}

/**
 * The parser of Docker Compose as a program (`[--format json] FILE`, `-` reads its input), or null. It knows every word of a
 * compose file; whether a service that another one waits for exists, it leaves to Docker.
 */
export function findCompose(): string | null {
  return findGoTool(COMPOSE);
}

export function installCompose(): Promise<void> {
  return installGoTool(COMPOSE);
}

/** Prometheus's program that checks rules and settings, or null. */
export function findPromtool(): string | null {
  return Bun.which('promtool');
}

export async function installPromtool(): Promise<void> {
  if (findPromtool() !== null) return;
  await installPackages('prometheus');
  stopService('prometheus');
}

/**
 * Kubernetes publishes no schemas for strict checks of its own; the Python package `kubernetes-validate` carries them. They
 * name each other by addresses on the Internet, which are turned into names of files here.
 */
async function installSchemas(): Promise<void> {
  await mkdir(dirname(schemasFolder()), { recursive: true });
  const folder = await mkdtemp(join(toolsDir(), 'kubernetes-schemas-build-'));
  try {
    await makeEnvironment(join(folder, 'python'));
    const args = ['--quiet', '--disable-pip-version-check', '--no-deps', '--target', join(folder, 'package')];
    await run(
      join(folder, 'python', 'bin', 'pip'),
      ['install', ...args, `kubernetes-validate==${KUBERNETES_VERSION}`],
      { timeout: SCHEMAS_TIMEOUT_MS },
    );
    const found = join(folder, 'package', 'kubernetes_validate', 'kubernetes-json-schema');
    const from = join(found, `v${KUBERNETES_VERSION}-local-strict`);
    const to = join(folder, 'schemas');
    await mkdir(to);
    for (const name of await readdir(from)) {
      const { $id: _, ...schema } = JSON.parse(await readFile(join(from, name), 'utf8'));
      const text = JSON.stringify(schema).replaceAll('"/api/_definitions.json#', '"_definitions.json#');
      await writeFile(join(to, name), text);
    }
    // Renamed last and in one step: what stands under the name is always whole.
    await rename(to, schemasFolder());
  } catch (error) {
    throw new Error(
      `The schemas of Kubernetes ${KUBERNETES_VERSION} could not be installed.\n  why:  ${lastLines(error)}\n  do:   check that the Python package index can be reached, then run the command again`,
      { cause: error },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function schemasFolder(): string {
  return join(toolsDir(), 'kubernetes-schemas', KUBERNETES_VERSION);
}
