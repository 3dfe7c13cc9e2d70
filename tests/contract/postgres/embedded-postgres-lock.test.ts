import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../../src/adapters/postgres/embedded/postgres-server.ts';
import {
  CONTAINER,
  canUnshare,
  EMBEDDED_OPTIONS,
  type EmbeddedStarter,
  spawnStarter,
  withBindMount,
} from '../../support/embedded-starter.ts';
import { isGone } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';
import { SLOW_TEST_MS } from '../ledger/ledger-database.ts';

let folder: string;
let starters: EmbeddedStarter[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-lock-'));
  await chmod(folder, 0o755);
  starters = [];
});
afterEach(async () => {
  for (const starter of starters) await starter.kill();
  const pid = await pidOf();
  if (pid > 0 && !isGone(pid)) process.kill(pid, 'SIGKILL');
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
});

const pidFile = (of = folder) => join(of, 'postgres/18/postmaster.pid');
const pidOf = async (of = folder) =>
  Number((await readFile(pidFile(of), 'utf8').catch(() => '')).split('\n')[0]);

function start(through: readonly string[] = [], of = folder): EmbeddedStarter {
  const starter = spawnStarter(of, through);
  starters.push(starter);
  return starter;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Everything that a start could touch: names, modes, owners, and the content of the small files. */
async function contentsOf(of: string): Promise<unknown[]> {
  const files = ['.', 'lock', 'password', 'server.log', '18', '18/postmaster.pid'];
  const seen = files.map(async (name) => {
    const found = await stat(join(of, 'postgres', name));
    const { mode, uid, gid, ino } = found;
    const text = found.isFile() ? await readFile(join(of, 'postgres', name), 'utf8') : '';
    return { name, mode, uid, gid, ino, text };
  });
  return [await readdir(join(of, 'postgres')), ...(await Promise.all(seen))];
}

const IN_USE =
  /^Another Atlas uses the data folder .*\n {2}why: {2}process \d+ on host \S+, in another container/;

describe.skipIf(!canUnshare())('a data folder that two containers share', () => {
  test(
    'has one server: the second start fails, touches nothing, and no transfer of the first is lost',
    async () => {
      const url = await start(CONTAINER).url();
      await query(url, 'CREATE TABLE kept AS SELECT 42 AS number');
      const before = await contentsOf(folder);

      await expect(start(CONTAINER).url()).rejects.toThrow(IN_USE);
      await expect(start().url()).rejects.toThrow(IN_USE);

      expect(await contentsOf(folder)).toEqual(before);
      expect(await query(url, 'INSERT INTO kept VALUES (43) RETURNING number')).toEqual([{ number: 43 }]);
      expect(await query(url, 'SELECT number FROM kept')).toHaveLength(2);
    },
    SLOW_TEST_MS,
  );

  test(
    'is free once the container that used it was killed, with everything that was committed',
    async () => {
      const first = start(CONTAINER);
      await query(await first.url(), 'CREATE TABLE kept AS SELECT 42 AS number');
      await first.kill();
      const url = await start(CONTAINER).url();
      expect(await query(url, 'SELECT number FROM kept')).toEqual([{ number: 42 }]);
    },
    SLOW_TEST_MS,
  );

  test(
    'stays locked by a server that outlives the Atlas that started it',
    async () => {
      const first = start();
      const url = await first.url();
      await first.kill();
      await expect(start(CONTAINER).url()).rejects.toThrow(IN_USE);
      // It sees the processes of this namespace, but under other numbers than its own.
      await expect(start(['unshare', '--pid', '--fork', '--kill-child']).url()).rejects.toThrow(IN_USE);
      expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(await start().url()).toBe(url);
    },
    SLOW_TEST_MS,
  );

  test(
    'is joined through a bind mount, where the server is seen under another name',
    async () => {
      const first = start();
      const url = await first.url();
      const before = await contentsOf(folder);
      const other = join(folder, 'other');
      await mkdir(other);
      const second = start(withBindMount(folder, other), other);
      expect(await second.url()).toBe(url);
      expect(await contentsOf(folder)).toEqual(before);

      expect(await first.stop()).toBe(0);
      expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(await second.stop()).toBe(0);
      expect(await pidOf()).toBe(0);
    },
    SLOW_TEST_MS,
  );

  test(
    'is joined through a bind mount even if its server is of a release without a lock',
    async () => {
      const url = await start().url();
      await rm(join(folder, 'postgres/lock'));
      const other = join(folder, 'other');
      await mkdir(other);
      const pid = await pidOf();
      const second = start(withBindMount(folder, other), other);
      expect(await second.url()).toBe(url);
      expect(await pidOf()).toBe(pid);
      // The second one locks it as long as it uses it.
      await expect(start(CONTAINER).url()).rejects.toThrow(IN_USE);
    },
    SLOW_TEST_MS,
  );
});

test(
  'a data folder that was renamed while its server runs is joined, and the last one stops the server',
  async () => {
    const first = start();
    const url = await first.url();
    const pid = await pidOf();
    const renamed = `${folder}-renamed`;
    await rename(folder, renamed);
    const second = await startEmbeddedPostgres(renamed, EMBEDDED_OPTIONS);
    expect(second.url).toBe(url);
    expect(await pidOf(renamed)).toBe(pid);

    expect(await first.stop()).toBe(0);
    expect(isGone(pid)).toBe(false);
    await second.stop();
    await until(() => isGone(pid));
    await rename(renamed, folder);
  },
  SLOW_TEST_MS,
);

test(
  'a lock file that a dead process left, even one of another container, does not delay a start',
  async () => {
    await mkdir(join(folder, 'postgres'));
    const left = { pid: 7, host: 'elsewhere', namespace: 'another boot pid:[1]' };
    await writeFile(join(folder, 'postgres/lock'), `${JSON.stringify(left)}\n`);
    const server = await startEmbeddedPostgres(folder, EMBEDDED_OPTIONS);
    expect(JSON.parse((await readFile(join(folder, 'postgres/lock'), 'utf8')).split('\n')[0]!)).toMatchObject(
      {
        pid: process.pid,
      },
    );
    await server.stop();
  },
  SLOW_TEST_MS,
);

test(
  'the lock belongs to the server alone: once that is killed, another process can start one although Atlas still runs',
  async () => {
    const url = await start().url();
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS number');
    process.kill(await pidOf(), 'SIGKILL');
    const next = await startEmbeddedPostgres(folder, EMBEDDED_OPTIONS);
    expect(await query(next.url, 'SELECT number FROM kept')).toEqual([{ number: 42 }]);
    await next.stop();
  },
  SLOW_TEST_MS,
);

test('a start that may not create a server fails, and creates no folder', async () => {
  const missing = join(folder, 'missing');
  await expect(startEmbeddedPostgres(missing, { ...EMBEDDED_OPTIONS, create: false })).rejects.toThrow(
    /^There is no embedded PostgreSQL in .*missing yet\.\n {2}why: .*\n {2}do: /,
  );
  expect(await readdir(folder)).toEqual([]);
});

test('a file in place of a folder is reported with why and what to do', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  for (const dataDir of [file, join(file, 'below')]) {
    await expect(startEmbeddedPostgres(dataDir, EMBEDDED_OPTIONS)).rejects.toThrow(
      /^The data folder \S+ cannot be used\.\n {2}why: {2}(?:ENOTDIR|EEXIST).*\n {2}do: {3}move the file away/,
    );
  }
});
