import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openPostgres } from '../../src/adapters/postgres/postgres.ts';
import { freshDatabase } from '../support/database.ts';
import { makeFolder, removeFolder, runAtlas, succeedAtlas } from './atlas-process.ts';

const COMMAND_TIMEOUT_MS = 60_000;
let folder: string;
let settings: Record<string, string>;
beforeAll(async () => {
  folder = await makeFolder();
  settings = { DATABASE_URL: await freshDatabase() };
}, COMMAND_TIMEOUT_MS);
afterAll(() => removeFolder(folder));

const run = (...args: string[]) => runAtlas(folder, ['key', ...args], settings);
const list = async () =>
  JSON.parse(await succeedAtlas(folder, ['key', 'list', '--json'], settings)) as {
    id: string;
    kind: string;
    state: string;
    expiresAt: string | null;
    replacedBy: string | null;
  }[];
const idOf = (key: string) => key.split('_')[2]!;

test(
  'atlas key rotate prints a new key, and the old one ends after the overlap',
  async () => {
    const old = (await run('create', '--name', 'ci', '--scopes', 'ping:read')).stdout;
    const rotated = await run('rotate', old.trim(), '--overlap-seconds', '0');
    expect(rotated.code).toBe(0);
    expect(rotated.stdout).toMatch(/^atlas_live_\w+\n$/);
    expect(rotated.stderr).toContain(idOf(rotated.stdout));
    expect(rotated.stderr).not.toContain(old.split('_')[3]!.trim());
    const found = (await list()).find(({ id }) => id === idOf(old))!;
    expect(found).toMatchObject({ state: 'expired', replacedBy: idOf(rotated.stdout) });
    const ended = await run('rotate', idOf(old));
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('No key was replaced.\n  why:  ');
    expect(await run('rotate', 'nobody')).toMatchObject({ code: 1, stdout: '' });
    const tooLong = await run('rotate', idOf(rotated.stdout), '--overlap-seconds', '604801');
    expect(tooLong).toMatchObject({ code: 1, stderr: expect.stringContaining('from 0 to 604800') });
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'atlas key create --kind test creates a test key only where organizations are isolated',
  async () => {
    const sql = openPostgres({ url: settings.DATABASE_URL!, connectionsMax: 1, timeoutSeconds: 10 });
    await sql`UPDATE transfer_id_secret SET isolates_owners = false`;
    const refused = await run('create', '--name', 'try', '--kind', 'test');
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('isolation') });
    await sql`UPDATE transfer_id_secret SET isolates_owners = true`;
    await sql.end();
    const created = await run('create', '--name', 'try', '--kind', 'test');
    expect(created.stdout).toMatch(/^atlas_test_\w+\n$/);
    expect((await list()).find(({ id }) => id === idOf(created.stdout))!.kind).toBe('test');
    expect((await run('create', '--name', 'x', '--kind', 'operator')).code).toBe(1);
    const reserved = await run('create', '--name', 'x', '--owner', 'acme~x');
    expect(reserved).toMatchObject({ code: 1, stderr: expect.stringContaining('contain ~') });
  },
  COMMAND_TIMEOUT_MS,
);
