import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createClient } from '../support/atlas-client.ts';
import { until } from '../support/until.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas, succeedAtlas } from './atlas-process.ts';

const COMMAND_TIMEOUT_MS = 60_000;
// The commands share one installation; each test prepares what it needs.
let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

const succeed = (args: readonly string[], settings?: Record<string, string>) =>
  succeedAtlas(folder, args, settings);

test('atlas --help lists every command, and says where the settings are without repeating them', async () => {
  const help = await succeed(['--help']);
  for (const command of ['serve', 'migrate', 'seed', 'doctor', 'config', 'key'])
    expect(help).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
  expect(help).toContain('docs/settings.md');
  expect(help).toContain('`atlas config`');
  expect(help).not.toContain('DATABASE_URL');
  expect(await succeed(['key', 'create', '--help'])).not.toContain('DATABASE_URL');
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
  'atlas migrate reverts migrations and applies them again',
  async () => {
    expect(await succeed(['migrate', 'up'])).toMatch(/^up +1 keys$/m);
    expect(await succeed(['migrate', 'up'])).toBe('Up to date.\n');
    const unconfirmed = await runAtlas(folder, ['migrate', 'down'], {});
    expect(unconfirmed).toMatchObject({ code: 1, stderr: expect.stringContaining('add --yes') });
    expect(await succeed(['migrate', 'down', '--yes'])).toMatch(/^down +\d+ \w+$/m);
    expect(await succeed(['migrate', 'status'])).toMatch(/^pending +\d+ \w+$/m);
    const behind = await runAtlas(folder, ['doctor'], {});
    expect(behind).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('The database schema is out of date.'),
    });
    await succeed(['migrate', 'up']);
    expect(await succeed(['migrate', 'status'])).not.toContain('pending');
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas doctor finds no problems in a new installation, and reports a setting that is not used yet',
  async () => {
    await succeed(['migrate', 'up']);
    const report = await succeed(['doctor']);
    expect(report).toMatch(/^PostgreSQL +embedded/m);
    expect(report).toStartWith('Atlas is not running here. These settings would start:\n');
    expect(report).toContain('No problems found.');
    expect(await succeed(['doctor'], { OTEL_ENABLED: 'true' })).toContain('OTEL_ENABLED is set');
    const json = JSON.parse(await succeed(['doctor', '--json'], { OTEL_ENABLED: 'true' }));
    expect(json).toEqual({
      ok: true,
      running: null,
      summary: 'Atlas is not running here. These settings would start:',
      parts: expect.any(Array),
      problems: [],
      notes: expect.arrayContaining(['OTEL_ENABLED is set but not used yet.']),
    });
    expect(json.parts[0]).toEqual({
      part: 'PostgreSQL',
      mode: 'embedded',
      where: expect.stringContaining('postgres://'),
      guarantee: expect.any(String),
    });
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'a reset needs a confirmation, and deletes nothing while an Atlas runs that would lose files after it',
  async () => {
    await succeed(['migrate', 'up']);
    const { stdout } = await runAtlas(folder, ['key', 'create', '--name', 'survives']);
    const id = stdout.split('_')[2]!;
    expect(await runAtlas(folder, ['migrate', 'reset'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('to confirm, add --yes'),
    });
    const atlas = await startAtlas(folder);
    try {
      for (const way of ['reset', 'down']) {
        const refused = await runAtlas(folder, ['migrate', way, '--yes']);
        expect(refused).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(/Atlas is running on port \d+/),
        });
      }
      expect(await succeed(['key', 'list'])).toContain(id);
    } finally {
      await atlas.end('SIGTERM');
    }
    await succeed(['migrate', 'reset', '--yes']);
    expect(await succeed(['key', 'list'])).not.toContain(id);
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas key creates a key that works immediately, lists it without its secret, and revokes it within 5 s',
  async () => {
    const atlas = await startAtlas(folder);
    try {
      const created = await runAtlas(folder, ['key', 'create', '--name', 'ci', '--scopes', 'ping:read']);
      const key = /^atlas_live_\w+\n$/.exec(created.stdout)![0].trim();
      const statusOf = async (path: string) =>
        (await fetch(`${atlas.url}${path}`, { headers: { Authorization: `Bearer ${key}` } })).status;
      expect(await statusOf('/v1/ping')).toBe(200);
      expect(await statusOf('/v1/accounts')).toBe(403);

      const listed = await succeed(['key', 'list']);
      const id = key.split('_')[2]!;
      expect(created.stderr).toContain(`the ID ${id}.`);
      expect(listed).toContain(id);
      expect(listed).not.toContain(key.split('_')[3]!);
      const json = await succeed(['key', 'list', '--json']);
      expect(json).not.toContain(key.split('_')[3]!);
      expect(JSON.parse(json).find((found: { id: string }) => found.id === id)).toEqual({
        id,
        owner: 'owner',
        kind: 'live',
        name: 'ci',
        state: 'active',
        scopes: ['ping:read'],
        createdBy: null,
        replacedBy: null,
        createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
        expiresAt: null,
        revokedAt: null,
        lastUsedAt: null,
      });

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
  'atlas key creates the key of an operator, which opens the routes of operators and no others',
  async () => {
    const create = (...args: string[]) => runAtlas(folder, ['key', 'create', '--name', 'on-call', ...args]);
    for (const args of [
      ['--operator', '--scopes', 'ping:read'],
      ['--scopes', 'operator:read'],
    ]) {
      const refused = await create(...args);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toMatch(/cannot have (?:ping|operator):read\n.*do: {3}(?:omit|add) --operator/s);
    }
    const key = /^atlas_operator_\w+\n$/.exec((await create('--operator')).stdout)![0].trim();
    const ownKey = (await create()).stdout.trim();
    const atlas = await startAtlas(folder);
    try {
      const statusOf = async (path: string, token: string) =>
        (await fetch(`${atlas.url}${path}`, { headers: { Authorization: `Bearer ${token}` } })).status;
      expect(await statusOf('/v1/operator/quotas', key)).toBe(200);
      expect(await statusOf('/v1/accounts', key)).toBe(403);
      expect(await statusOf('/v1/operator/quotas', ownKey)).toBe(403);
      expect(await succeed(['key', 'list'])).toContain('(operator)');
    } finally {
      await atlas.end('SIGTERM');
    }
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas seed creates the demo accounts, and repeating it changes nothing',
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
      ['Demo bank', -210_000],
      ['Alice', 100_000],
      ['Bob', 100_000],
      ['Savings', 0],
      ['Euros to exchange', 10_000],
      ['Dollars to exchange', -10_834],
      ['Alice, dollars', 10_834],
    ]);
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas doctor and a second start detect the Atlas running on the port',
  async () => {
    const atlas = await startAtlas(folder, { API_WORKERS: '1', LOAD_SHEDDING_MAX_CONCURRENT: '77' });
    try {
      const { port } = new URL(atlas.url);
      const report = await succeed(['doctor'], { API_PORT: port, API_WORKERS: '1' });
      expect(report).toStartWith(
        `Atlas is running on port ${port} (supervisor ${atlas.pid}, 1 worker, cap 77)\n`,
      );
      expect(report).toMatch(/^limits +static shares +77 in flight, 1 worker /m);
      expect(report).toMatch(/^- cap: 77 in the running Atlas, 1000 in/m);
      expect(report).toContain('No problems found.');

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
  'a start without its Redis says so, and doctor reports it of the running Atlas',
  async () => {
    // Nothing listens on port 1.
    const settings = { API_WORKERS: '1', REDIS_URL: 'redis://127.0.0.1:1', REDIS_TIMEOUT: '0.2' };
    const atlas = await startAtlas(folder, settings);
    try {
      expect(atlas.output()).toContain('Redis is unavailable, so each worker uses a fixed share');
      const { port } = new URL(atlas.url);
      const { code, stdout } = await runAtlas(folder, ['doctor'], { ...settings, API_PORT: port });
      expect(code).toBe(1);
      expect(stdout).toMatch(/^! 1 of 1 workers cannot reach Redis/m);
      expect(stdout).toMatch(/^! Redis is unavailable .* Start it again/m);
      expect(stdout).not.toContain('unset');
    } finally {
      await atlas.end('SIGTERM');
    }
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'refused requests appear in the status, and in the log as one line for all of them',
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
