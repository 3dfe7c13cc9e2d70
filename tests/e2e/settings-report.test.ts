import { afterAll, beforeAll, expect, test } from 'bun:test';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeSettings } from '../../src/config.ts';
import { freshDatabase } from '../support/database.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas, succeedAtlas } from './atlas-process.ts';

const COMMAND_TIMEOUT_MS = 60_000;
let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

const succeed = (args: readonly string[], settings?: Record<string, string>) =>
  succeedAtlas(folder, args, settings);

test(
  'no command shows credentials in the URL of the object store',
  async () => {
    const settings = {
      DATABASE_URL: await freshDatabase(),
      S3_ENDPOINT: 'http://user:hunter2@127.0.0.1:9',
      S3_PUBLIC_ENDPOINT: 'https://hunter2@files.example.com',
      S3_BUCKET: 'atlas',
      S3_ACCESS_KEY_ID: 'id',
      S3_SECRET_ACCESS_KEY: 'hunter2',
    };
    for (const args of [['config'], ['config', '--json'], ['doctor'], ['doctor', '--json']]) {
      const { stdout, stderr } = await runAtlas(folder, args, settings);
      expect([args, stdout]).toEqual([args, expect.stringContaining('********@127.0.0.1:9/')]);
      expect([args, stdout + stderr]).toEqual([args, expect.not.stringContaining('hunter2')]);
    }
  },
  COMMAND_TIMEOUT_MS,
);

test('atlas config --json has every setting with its value and source, and masks secrets', async () => {
  const shown = JSON.parse(
    await succeed(['config', '--json'], { DATABASE_URL: 'postgres://me:hunter2@localhost/x' }),
  );
  expect(Object.keys(shown)).toEqual(['settings', 'unknown']);
  expect(shown.settings.map(({ name }: { name: string }) => name)).toEqual(
    describeSettings().map(({ name }) => name),
  );
  const of = (name: string) => shown.settings.find((setting: { name: string }) => setting.name === name);
  expect(of('API_PORT')).toEqual({ name: 'API_PORT', value: '0', source: 'environment', unused: false });
  expect(of('REDIS_URL')).toEqual({ name: 'REDIS_URL', value: null, source: 'default', unused: false });
  expect(of('DATABASE_URL').value).toBe('postgres://me:********@localhost/x');
});

test(
  'a misspelled setting is reported by every command with the one that was meant',
  async () => {
    const misspelled = { DATABSE_URL: 'postgres://me:hunter2@localhost/x' };
    const text =
      'DATABSE_URL (from the environment) is not a setting of Atlas and has no effect. Did you mean DATABASE_URL?';
    expect(await succeed(['config'], misspelled)).toContain(`! ${text}\n`);
    expect(JSON.parse(await succeed(['config', '--json'], misspelled)).unknown).toEqual([
      { name: 'DATABSE_URL', source: 'environment', meant: 'DATABASE_URL' },
    ]);
    await succeed(['migrate', 'up']);
    const { code, stderr } = await runAtlas(folder, ['migrate', 'status'], misspelled);
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(`Atlas: ${text}\n`) });
    expect(stderr).not.toContain('hunter2');
    const doctor = await runAtlas(folder, ['doctor'], misspelled);
    expect(doctor).toMatchObject({ code: 1, stdout: expect.stringContaining(`! ${text}\n`) });
  },
  COMMAND_TIMEOUT_MS,
);

test(
  'a start with a misspelled setting says so, and a .env in UTF-16 is refused with what to do',
  async () => {
    const atlas = await startAtlas(folder, { API_WORKERS: '1', LOG_LEVLE: 'debug' });
    await atlas.end('SIGTERM');
    expect(atlas.output().match(/LOG_LEVLE .* Did you mean LOG_LEVEL\?/g)).toHaveLength(1);
    await writeFile(join(folder, '.env'), Buffer.from('\uFEFFAPI_PORT=1\n', 'utf16le'));
    try {
      for (const args of [['serve'], ['config'], ['doctor'], ['key', 'list']]) {
        const { code, stderr } = await runAtlas(folder, args);
        expect(code).toBe(1);
        expect(stderr).toMatch(
          /\.env is not UTF-8\.\n {2}why: {2}it is UTF-16.*\n {2}do: {3}save it as UTF-8/,
        );
      }
      const { code, stdout } = await runAtlas(folder, ['doctor', '--json']);
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: false,
        parts: [],
        problems: [expect.stringContaining('UTF-16')],
      });
    } finally {
      await rm(join(folder, '.env'));
    }
  },
  COMMAND_TIMEOUT_MS,
);
