import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { VERSION } from '../../src/version.ts';
import { createClient } from './atlas-client.ts';
import { isHere, makeFolder, removeFolder, runAtlas, startAtlas, until } from './atlas-process.ts';

const ROOT = join(import.meta.dir, '..', '..');
const COMMAND_TIMEOUT_MS = 60_000;
// The commands share one installation; each test says what it needs of it.
let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

async function succeed(args: readonly string[], settings: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await runAtlas(folder, args, settings);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

test('atlas --help names every command and every setting', async () => {
  const help = await succeed(['--help']);
  for (const command of ['serve', 'migrate', 'seed', 'doctor', 'config', 'key'])
    expect(help).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
  expect(help).toContain('DATABASE_URL');
});

test('atlas config shows each value with its source, and masks secrets', async () => {
  const settings = {
    DATABASE_URL: 'postgres://me:hunter2@localhost/x?sslkey=deep',
    S3_SECRET_ACCESS_KEY: 'hush',
  };
  const shown = await succeed(['config'], settings);
  expect(shown).toMatch(/^API_PORT +0 +environment/m);
  expect(shown).toMatch(/^HTTP_TIMEOUT +30 +default/m);
  expect(shown).toMatch(/^DATABASE_URL +postgres:\/\/me:\*{8}@localhost/m);
  for (const secret of ['hunter2', 'hush', 'deep']) expect(shown).not.toContain(secret);
});

test(
  'atlas migrate takes migrations back and applies them again',
  async () => {
    expect(await succeed(['migrate', 'up'])).toMatch(/^up +1 keys$/m);
    expect(await succeed(['migrate', 'up'])).toBe('Up to date.\n');
    const unsure = await runAtlas(folder, ['migrate', 'down'], {});
    expect(unsure).toMatchObject({ code: 1, stderr: expect.stringContaining('add --yes') });
    expect(await succeed(['migrate', 'down', '--yes'])).toMatch(/^down +\d+ \w+$/m);
    expect(await succeed(['migrate', 'status'])).toMatch(/^missing +\d+ \w+$/m);
    const behind = await runAtlas(folder, ['doctor'], {});
    expect(behind).toMatchObject({ code: 1, stdout: expect.stringContaining('The database is behind.') });
    await succeed(['migrate', 'up']);
    expect(await succeed(['migrate', 'status'])).not.toContain('missing');
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas doctor finds nothing wrong with a fresh installation, and tells what a setting does not do yet',
  async () => {
    await succeed(['migrate', 'up']);
    const report = await succeed(['doctor']);
    expect(report).toMatch(/^PostgreSQL +embedded/m);
    expect(report).toContain('Nothing is wrong.');
    expect(await succeed(['doctor'], { RETRY_JITTER: 'false' })).toContain('RETRY_JITTER is set');
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas key makes a key that works at once, lists it without its secret, and revokes it within 5 s',
  async () => {
    const atlas = await startAtlas(folder);
    try {
      const made = await succeed(['key', 'create', '--name', 'ci', '--scopes', 'ping:read']);
      const key = /atlas_live_\w+/.exec(made)![0];
      const statusOf = async (path: string) =>
        (await fetch(`${atlas.url}${path}`, { headers: { Authorization: `Bearer ${key}` } })).status;
      expect(await statusOf('/v1/ping')).toBe(200);
      expect(await statusOf('/v1/accounts')).toBe(403);

      const listed = await succeed(['key', 'list']);
      const id = key.split('_')[2]!;
      expect(listed).toContain(id);
      expect(listed).not.toContain(key.split('_')[3]!);

      await succeed(['key', 'revoke', id]);
      const revokedMs = performance.now();
      await until(async () => (await statusOf('/v1/ping')) === 401);
      expect(performance.now() - revokedMs).toBeLessThan(5000);
    } finally {
      await atlas.end('SIGTERM');
    }
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas seed makes the demo accounts, and doing it again changes nothing',
  async () => {
    await succeed(['migrate', 'up']);
    await succeed(['seed']);
    await succeed(['seed']);
    const key = /atlas_live_\w+/.exec(await succeed(['key', 'create', '--name', 'reader']))![0];
    const atlas = await startAtlas(folder);
    const accounts = await createClient(atlas.url, key)
      .list<{ name: string; balance: number }>('/v1/accounts', 'accounts')
      .finally(() => atlas.end('SIGTERM'));
    expect(accounts.map(({ name, balance }) => [name, balance])).toEqual([
      ['Demo bank', -200_000],
      ['Alice', 100_000],
      ['Bob', 100_000],
    ]);
  },
  COMMAND_TIMEOUT_MS,
);

test('an unknown command or option ends with 1 and says so', async () => {
  for (const args of [['no-such-command'], ['serve', '--no-such-option'], ['key', 'create']]) {
    const { code, stderr } = await runAtlas(folder, args);
    expect(code).toBe(1);
    expect(stderr).not.toBe('');
    expect(stderr).not.toContain('    at ');
  }
});

test('the launcher that npm runs on Node starts Atlas', async () => {
  const node = Bun.which('node');
  if (!isHere('Node', node)) return;
  const child = Bun.spawn([node, join(ROOT, 'infra', 'launch.mjs'), 'src/main.ts', '--version'], {
    stdout: 'pipe',
    env: { PATH: process.env.PATH ?? '', HOME: folder },
  });
  expect((await new Response(child.stdout).text()).trim()).toBe(VERSION);
  expect(await child.exited).toBe(0);
});
