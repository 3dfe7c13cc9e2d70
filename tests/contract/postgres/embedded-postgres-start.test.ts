import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmod, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../src/adapters/postgres/embedded/postgres-server.ts';
import { EMBEDDED_OPTIONS, spawnStarter } from '../../support/embedded-starter.ts';
import { SLOW_TEST_MS } from '../ledger/ledger-database.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-start-'));
  await chmod(folder, 0o755);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const pidFile = () => join(folder, 'postgres/18/postmaster.pid');
const pidOf = async () => Number((await readFile(pidFile(), 'utf8')).split('\n')[0]);

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 1 });
  }
}
const isGone = (server: EmbeddedPostgres) =>
  query(server.url, 'SELECT 1').then(
    () => false,
    () => true,
  );

test(
  'after a kill -9 of its starter the server keeps running, and the next start takes it over with its data',
  async () => {
    const starter = spawnStarter(folder);
    const url = await starter.url();
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await starter.kill();
    const pid = await pidOf();

    const next = await startEmbeddedPostgres(folder, EMBEDDED_OPTIONS);
    expect(next.url).toBe(url);
    expect(await pidOf()).toBe(pid);
    expect(await query(next.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);

    await next.stop();
    expect(await isGone(next)).toBe(true);
    expect(await readdir(join(folder, 'postgres/18'))).not.toContain('postmaster.pid');
  },
  SLOW_TEST_MS,
);

test(
  'a pid file whose pid belongs to another process, as after a reboot, does not prevent a start',
  async () => {
    const first = await startEmbeddedPostgres(folder, EMBEDDED_OPTIONS);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const lines = (await readFile(pidFile(), 'utf8')).split('\n');
    await first.stop();
    // This process is alive, and its arguments may contain the word postgres.
    await writeFile(pidFile(), [process.pid, ...lines.slice(1)].join('\n'));

    const next = await startEmbeddedPostgres(folder, EMBEDDED_OPTIONS);
    expect(await pidOf()).not.toBe(process.pid);
    expect(await query(next.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await next.stop();
  },
  SLOW_TEST_MS,
);

test(
  'a server that was killed with SIGKILL is restarted with everything that was committed',
  async () => {
    const starter = spawnStarter(folder);
    await query(await starter.url(), 'CREATE TABLE kept AS SELECT 42 AS answer');
    const pid = await pidOf();
    process.kill(pid, 'SIGKILL');
    await starter.kill();

    const next = await startEmbeddedPostgres(folder, EMBEDDED_OPTIONS);
    expect(await pidOf()).not.toBe(pid);
    expect(await query(next.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    await next.stop();
  },
  SLOW_TEST_MS,
);

test(
  'two processes that start at the same time in an empty folder share one server, and only the last one stops it',
  async () => {
    const starters = [spawnStarter(folder), spawnStarter(folder)];
    const urls = await Promise.all(starters.map(({ url }) => url()));
    expect(urls[0]).toStartWith('postgres://');
    expect(urls[1]).toBe(urls[0]!);
    expect((await readdir(join(folder, 'postgres'))).toSorted()).toEqual([
      '18',
      'lock',
      'password',
      'server.log',
    ]);

    expect(await starters[0]!.stop()).toBe(0);
    expect(await query(urls[1]!, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await starters[1]!.stop()).toBe(0);
    expect(await readdir(join(folder, 'postgres/18'))).not.toContain('postmaster.pid');
  },
  SLOW_TEST_MS,
);

test(
  'the server can also be joined through a symbolic link to its folder',
  async () => {
    const first = await startEmbeddedPostgres(folder, EMBEDDED_OPTIONS);
    const link = `${folder}-link`;
    await symlink(folder, link);
    const second = await startEmbeddedPostgres(link, EMBEDDED_OPTIONS);
    expect(second.url).toBe(first.url);
    await second.stop();
    expect(await isGone(first)).toBe(false);
    await first.stop();
    await rm(link);
  },
  SLOW_TEST_MS,
);

test(
  'another port is used if the preferred one is taken, and only the owner can read the password',
  async () => {
    const occupant = createServer();
    const taken = await new Promise<number>((done) =>
      occupant.listen(0, '127.0.0.1', () => done((occupant.address() as { port: number }).port)),
    );
    const server = await startEmbeddedPostgres(folder, { ...EMBEDDED_OPTIONS, preferredPort: taken });
    expect(server.port).not.toBe(taken);
    const wrong = Object.assign(new URL(server.url), { password: 'wrong' }).href;
    await expect(query(wrong, 'SELECT 1')).rejects.toThrow('password authentication failed');
    const { mode } = await Bun.file(join(folder, 'postgres/password')).stat();
    expect(mode & 0o077).toBe(0);
    await server.stop();
    await new Promise((done) => occupant.close(done));
  },
  SLOW_TEST_MS,
);
