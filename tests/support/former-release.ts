import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { App } from '../../src/app.ts';
import type { Deps } from '../../src/deps.ts';
import { ALL_SCOPES } from '../../src/features.ts';
import { type ApiCaller, requestOf } from './api-caller.ts';
import type { TestApp } from './test-app.ts';

const ROOT = join(import.meta.dir, '../..');
/** Revisions whose hosts run on the same database while this one is rolled out. */
const REVISIONS = {
  '0.1.0': 'e2af6a820ffa4a61d2697ded474286fc8be32df6',
  'the last revision without a secret for transfer ids': '1dd810cb0d5f18c7d751a290539629ccd52c93d6',
  'the last revision without isolation': '71805923d08f3cbb9c809eb17f8ec2bca50f6c2f',
} as const;

export type FormerRelease = keyof typeof REVISIONS;

/** A host of a former release over the database of another one, called without a socket and with a key of all scopes. */
export interface FormerHost extends ApiCaller, Pick<App, 'loops'> {
  close(): Promise<void>;
}

/**
 * Returns the releases that the history of a repository has, by default of this one. A shallow clone, or an archive,
 * lacks some: their tests are skipped with a warning. Throws instead if ATLAS_REQUIRE_SERVICES=1 forbids skipping.
 */
export function availableFormerReleases(repository = ROOT): FormerRelease[] {
  const available: FormerRelease[] = [];
  let missing = '';
  for (const [name, revision] of Object.entries(REVISIONS) as [FormerRelease, string][]) {
    const trouble = whyNotInHistory(repository, revision);
    if (trouble === null) available.push(name);
    else missing += `\n${name} (${revision.slice(0, 7)}): ${trouble}`;
  }
  if (missing === '') return available;
  const text =
    'Some tests run former releases next to this one. They need git, tar, and the whole history of the repository; ' +
    `in a shallow clone, run \`git fetch --unshallow\`. Not available:${missing}`;
  if (process.env.ATLAS_REQUIRE_SERVICES === '1') throw new Error(text);
  console.warn(`${text}\nSkipping their tests.`);
  return available;
}

/**
 * Starts a host of the release on the database of `atlas`, whose organizations are not isolated from then on. Like any
 * host, it first migrates the database.
 */
export async function startFormerHost(
  release: FormerRelease,
  atlas: TestApp,
  environment: Record<string, string> = {},
): Promise<FormerHost> {
  const root = mkdtempSync(join(tmpdir(), 'atlas-former-'));
  unpack(REVISIONS[release], root);
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const load = (path: string) => import(join(root, path));
  const { loadConfig } = await load('src/config.ts');
  const { openDeps } = await load('src/deps.ts');
  const { createApp } = await load('src/app.ts');
  const { createLogger } = await load('src/instrumentation/logger.ts');
  const { migrateUp, readMigrations } = await load('src/adapters/postgres/migrations.ts');
  const settings = {
    ENVIRONMENT: 'test',
    DATABASE_URL: atlas.deps.databaseUrl,
    DATABASE_POOL_SIZE: '5',
    DATABASE_MAX_OVERFLOW: '1',
    ...environment,
  };
  const { config } = loadConfig(settings, '/dev/null');
  const deps: Deps = await openDeps(config, createLogger(config, { write: () => {} }));
  await migrateUp(deps.database, await readMigrations());
  // As on a database that the release itself has set up and used.
  await atlas.sql`UPDATE secrets_at_rest SET sealed_since = NULL`;
  const app: App = createApp(deps);
  // As long as such a host runs.
  await atlas.sql`UPDATE transfer_id_secret SET isolates_owners = false`;
  const key = await atlas.key(ALL_SCOPES);
  return {
    loops: app.loops,
    async call(method, path, options = {}) {
      const defaults = { Host: 'atlas.test', Authorization: `Bearer ${key}` };
      return app.fetch(new Request(`http://atlas.test${path}`, requestOf(method, options, defaults)));
    },
    async close() {
      await deps.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Returns why a revision cannot be taken from the history, or null if it can. */
function whyNotInHistory(repository: string, revision: string): string | null {
  for (const tool of ['git', 'tar']) if (Bun.which(tool) === null) return `${tool} is not installed`;
  const { exitCode, stderr } = Bun.spawnSync([
    'git',
    '-C',
    repository,
    'cat-file',
    '-e',
    `${revision}^{commit}`,
  ]);
  return exitCode === 0 ? null : `${stderr}`.trim();
}

function unpack(revision: string, folder: string): void {
  const { exitCode, stdout, stderr } = git('archive', revision, 'package.json', 'src', 'sql');
  if (exitCode !== 0) throw new Error(`${revision} cannot be read:\n${stderr}`);
  const unpacked = Bun.spawnSync(['tar', '-x', '-C', folder], { stdin: stdout });
  if (unpacked.exitCode !== 0) throw new Error(`${revision} cannot be unpacked:\n${unpacked.stderr}`);
}

const git = (...args: string[]) => Bun.spawnSync(['git', '-C', ROOT, ...args]);
