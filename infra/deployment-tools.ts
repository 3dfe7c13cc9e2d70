import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages, stopService } from './debian.ts';
import { findGoTool, goTool, installGoTool } from './go-tool.ts';
import { makeEnvironment } from './python-tool.ts';
import { buildTool, toolsDir } from './tool-build.ts';

/** Manifests are checked against the schemas of this version of Kubernetes. */
export const KUBERNETES_VERSION = '1.37.0';
const KUBECONFORM = goTool('kubeconform', '0.8.0', 'github.com/yannh/kubeconform/cmd/kubeconform');
const KUSTOMIZE = goTool('kustomize', '5.7.1', 'sigs.k8s.io/kustomize/kustomize/v5');
// The parser of Docker Compose 2.40.3. Compose itself takes ten times as long to build and finds little more.
const COMPOSE = goTool('compose-go', '2.9.1', 'github.com/compose-spec/compose-go/v2/cmd');
const SCHEMAS_TIMEOUT_MS = 5 * 60_000;
const run = promisify(execFile);

/** Returns the validator of Kubernetes manifests and the location of its schemas (`-schema-location`), or null. */
export function findKubeconform(): { readonly binary: string; readonly schemas: string } | null {
  const binary = findGoTool(KUBECONFORM);
  if (binary === null || !existsSync(schemasFolder())) return null;
  return { binary, schemas: join(schemasFolder(), '{{.ResourceKind}}{{.KindSuffix}}.json') };
}

export async function installKubeconform(): Promise<void> {
  await installGoTool(KUBECONFORM);
  if (!existsSync(schemasFolder())) await installSchemas();
}

/** Returns the path of kustomize, or null. */
export function findKustomize(): string | null {
  return findGoTool(KUSTOMIZE);
}

export function installKustomize(): Promise<void> {
  return installGoTool(KUSTOMIZE);
}

/**
 * Returns the path of the parser of Docker Compose (`[--format json] FILE`, `-` reads stdin), or null. It validates
 * every key of a compose file, but not whether the services of `depends_on` exist.
 */
export function findCompose(): string | null {
  return findGoTool(COMPOSE);
}

export function installCompose(): Promise<void> {
  return installGoTool(COMPOSE);
}

/** Returns the path of promtool, which checks the rules and configuration of Prometheus, or null. */
export function findPromtool(): string | null {
  return Bun.which('promtool');
}

export async function installPromtool(): Promise<void> {
  if (findPromtool() !== null) return;
  await installPackages('prometheus');
  stopService('prometheus');
}

/** Returns the path of systemd-analyze, which checks units without a running systemd, or null. */
export function findSystemdAnalyze(): string | null {
  return Bun.which('systemd-analyze');
}

export async function installSystemdAnalyze(): Promise<void> {
  if (findSystemdAnalyze() === null) await installPackages('systemd');
}

/**
 * Kubernetes publishes no schemas for strict validation; the Python package `kubernetes-validate` carries them. Their
 * references are URLs, which become file names here.
 */
async function installSchemas(): Promise<void> {
  const texts = {
    failed: `The schemas of Kubernetes ${KUBERNETES_VERSION} could not be installed.`,
    remedy: 'check that the Python package index can be reached, then run the command again',
  };
  await mkdir(dirname(schemasFolder()), { recursive: true });
  await buildTool('kubernetes-schemas', texts, async (folder) => {
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
    await rename(to, schemasFolder());
  });
}

function schemasFolder(): string {
  return join(toolsDir(), 'kubernetes-schemas', KUBERNETES_VERSION);
}
