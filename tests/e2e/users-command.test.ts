import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { bearer, PASSWORD } from '../support/user-steps.ts';
import {
  type AtlasProcess,
  environmentOf,
  makeFolder,
  removeFolder,
  runAtlas,
  startAtlas,
  succeedAtlas,
} from './atlas-process.ts';

const COMMAND_TIMEOUT_MS = 90_000;
let folder: string;
let atlas: AtlasProcess;
beforeAll(async () => {
  folder = await makeFolder();
  atlas = await startAtlas(folder);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas?.end('SIGTERM');
  await removeFolder(folder);
});

const post = (path: string, json: object) =>
  fetch(`${atlas.url}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(json),
  });
const signIn = (email: string, password = PASSWORD) => post('/v1/sessions', { email, password });
const members = (token: string) =>
  fetch(`${atlas.url}/v1/organizations/current/members`, { headers: bearer(token) });

async function tokenOf(response: Response): Promise<string> {
  expect(response.status).toBe(201);
  return ((await response.json()) as { token: string }).token;
}

async function roleOf(email: string): Promise<string | undefined> {
  const found = (await (await members(atlas.key!)).json()) as { members: { email: string; role: string }[] };
  return found.members.find((member) => member.email === email)?.role;
}

test(
  'atlas users creates an owner who chooses a password with the link, locks them out within 5 s, and lets them in',
  async () => {
    const args = ['users', 'create', 'Ada@Example.com', '--organization', 'owner'];
    const link = (await succeedAtlas(folder, args)).trim();
    expect(await roleOf('ada@example.com')).toBe('owner');
    expect((await signIn('ada@example.com')).status).toBe(401);
    const token = new URL(link).hash.replace('#token=', '');
    const chosen = await post('/v1/users/password-resets/completions', { token, password: PASSWORD });
    expect(chosen.ok).toBe(true);
    const session = await tokenOf(await signIn('ada@example.com'));
    expect((await members(session)).status).toBe(200);

    await succeedAtlas(folder, ['users', 'lock', 'ADA@example.com']);
    await until(async () => (await members(session)).status === 401, { deadlineMs: 5000 });
    expect((await signIn('ada@example.com')).status).toBe(401);
    await succeedAtlas(folder, ['users', 'unlock', 'ada@example.com']);
    const second = await tokenOf(await signIn('ada@example.com'));
    expect((await members(second)).status).toBe(200);
    expect((await members(session)).status).toBe(401);

    // Somebody who is a user already gets the role, and keeps the password.
    const again = await runAtlas(folder, [...args, '--role', 'admin']);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('only owner') });
    await succeedAtlas(folder, ['users', 'create', 'bob@example.com', '--organization', 'owner']);
    expect(await succeedAtlas(folder, [...args, '--role', 'admin'])).toBe('');
    expect(await roleOf('ada@example.com')).toBe('admin');
    expect((await signIn('ada@example.com')).status).toBe(201);
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas users create reads the password from standard input, by the rules for passwords',
  async () => {
    const create = async (email: string, password: string) => {
      const main = join(import.meta.dir, '../../src/main.ts');
      const args = [
        'users',
        'create',
        email,
        '--organization',
        'owner',
        '--role',
        'viewer',
        '--password-stdin',
      ];
      const child = Bun.spawn([process.execPath, main, ...args], {
        cwd: folder,
        env: environmentOf(folder, {}),
        stdin: new Blob([`${password}\n`]),
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const [stdout, stderr] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { code: await child.exited, stdout, stderr };
    };
    const refused = await create('eve@example.com', 'short');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('at least 12') });
    expect(await roleOf('eve@example.com')).toBeUndefined();
    expect(await create('eve@example.com', PASSWORD)).toMatchObject({ code: 0, stdout: '' });
    expect(await roleOf('eve@example.com')).toBe('viewer');
    expect((await signIn('eve@example.com')).status).toBe(201);
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas users create prints no link that leads nowhere, and says what to set',
  async () => {
    const create = (settings: Record<string, string>) => {
      const args = ['users', 'create', 'carol@example.com', '--organization', 'owner', '--role', 'viewer'];
      return runAtlas(folder, args, { ENVIRONMENT: 'production', ...settings });
    };
    const refused = await create({});
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('set PUBLIC_URL') });
    expect(await roleOf('carol@example.com')).toBeUndefined();
    const created = await create({ PUBLIC_URL: 'https://atlas.example.com' });
    expect(created).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^https:\/\/atlas\.example\.com\/reset-password#token=/),
    });
    expect(await roleOf('carol@example.com')).toBe('viewer');
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas users changes nothing for an unknown address, organization, or role',
  async () => {
    const run = (...args: string[]) => runAtlas(folder, ['users', ...args]);
    for (const refused of [
      await run('lock', 'nobody@example.com'),
      await run('unlock', 'nobody@example.com'),
      await run('create', 'new@example.com', '--organization', 'nowhere'),
      await run('create', 'new@example.com', '--organization', 'owner', '--role', 'king'),
      await run('create', 'no address', '--organization', 'owner'),
    ])
      expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(await roleOf('new@example.com')).toBeUndefined();
  },
  COMMAND_TIMEOUT_MS,
);
