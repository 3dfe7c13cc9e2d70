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
    expect(report).toStartWith('Nothing runs here; this is what these settings would start\n');
    expect(report).toContain('Nothing is wrong.');
    expect(await succeed(['doctor'], { OTEL_ENABLED: 'true' })).toContain('OTEL_ENABLED is set');
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

test(
  'atlas doctor and a second start look at the Atlas that runs on the port',
  async () => {
    const atlas = await startAtlas(folder, { API_WORKERS: '1', LOAD_SHEDDING_MAX_CONCURRENT: '77' });
    try {
      const { port } = new URL(atlas.url);
      const report = await succeed(['doctor'], { API_PORT: port, API_WORKERS: '1' });
      expect(report).toStartWith(`Atlas runs on port ${port} (supervisor ${atlas.pid}, 1 workers, cap 77)\n`);
      expect(report).toMatch(/^limits +static shares +77 in flight, 1 workers/m);
      expect(report).toMatch(/^- cap: 77 where Atlas runs, 1000 by/m);
      expect(report).toContain('Nothing is wrong.');

      const { code, stderr } = await runAtlas(folder, ['serve'], { API_PORT: port });
      expect(code).toBe(1);
      expect(stderr).toContain(`Atlas is already running on port ${port} (supervisor pid ${atlas.pid}).`);
      expect((await fetch(`${atlas.url}/health/ready`)).status).toBe(200);
    } finally {
      await atlas.end('SIGTERM');
    }
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'a start without its Redis says so, and doctor says it of what runs',
  async () => {
    // Nothing listens on the first port.
    const settings = { API_WORKERS: '1', REDIS_URL: 'redis://127.0.0.1:1', REDIS_TIMEOUT: '0.2' };
    const atlas = await startAtlas(folder, settings);
    try {
      expect(atlas.output()).toContain('Redis does not answer, so each worker keeps to its part');
      const { port } = new URL(atlas.url);
      const { code, stdout } = await runAtlas(folder, ['doctor'], { ...settings, API_PORT: port });
      expect(code).toBe(1);
      expect(stdout).toMatch(/^! 1 of 1 workers are cut off from Redis/m);
      expect(stdout).toMatch(/^! Redis does not answer .* Bring it back/m);
      expect(stdout).not.toContain('unset');
    } finally {
      await atlas.end('SIGTERM');
    }
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'refused requests are in the status and in the log, one line for all of them',
  async () => {
    await succeed(['migrate', 'up']);
    const key = /atlas_live_\w+/.exec(await succeed(['key', 'create', '--name', 'many']))![0];
    const atlas = await startAtlas(folder, { API_WORKERS: '1', LOAD_SHEDDING_MAX_CONCURRENT: '1' });
    try {
      const headers = { Authorization: `Bearer ${key}` };
      const ask = async () => (await fetch(`${atlas.url}/v1/accounts`, { headers })).status;
      let refused = 0;
      const refusedPerSecond = async () => (await atlas.status()).slots[0]!.worker!.refusedPerSecond;
      await until(async () => {
        const statuses = await Promise.all(Array.from({ length: 20 }, ask));
        refused += statuses.filter((status) => status === 429).length;
        return refused > 0 && (await refusedPerSecond()) > 0;
      });
      await until(async () => (await refusedPerSecond()) === 0);
      expect(atlas.output().match(/WARN +requests are refused.* refused=\{"\w+":\d+/g)).toHaveLength(1);
    } finally {
      await atlas.end('SIGTERM');
    }
  },
  COMMAND_TIMEOUT_MS,
);

test('a command that does not exist is named, with where all of them are, whatever follows it', async () => {
  for (const args of [['stauts'], ['stauts', '--once'], ['stauts', 'now']]) {
    const { code, stdout, stderr } = await runAtlas(folder, args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('There is no command stauts.');
    expect(stderr).toMatch(/do: +run atlas --help/);
  }
  expect(await succeed(['help', 'status'])).toContain('--once');
});

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
