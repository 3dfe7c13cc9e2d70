import { afterAll, beforeAll, expect, test } from 'bun:test';
import { until } from '../support/until.ts';
import { makeFolder, removeFolder, runAtlas, startAtlas, succeedAtlas } from './atlas-process.ts';

const COMMAND_TIMEOUT_MS = 60_000;
let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

const succeed = (args: readonly string[]) => succeedAtlas(folder, args);

test(
  'atlas organizations suspends an organization, whose keys get 403 within 5 s, and reinstates it',
  async () => {
    const atlas = await startAtlas(folder);
    try {
      const created = await runAtlas(folder, ['key', 'create', '--name', 'late', '--owner', 'late-payer']);
      const headers = { Authorization: `Bearer ${created.stdout.trim()}` };
      const status = async () => (await fetch(`${atlas.url}/v1/ping`, { headers })).status;
      expect(await status()).toBe(200);
      expect(await succeed(['organizations', 'suspend', 'late-payer'])).toContain('reinstate late-payer');
      await until(async () => (await status()) === 403, { deadlineMs: 5000 });
      expect(await succeed(['organizations'])).toMatch(/^late-payer +late-payer +.* suspended since 20/m);
      await succeed(['organizations', 'reinstate', 'late-payer']);
      await until(async () => (await status()) === 200, { deadlineMs: 5000 });
      const listed = JSON.parse(await succeed(['organizations', 'list', '--json'])) as { id: string }[];
      expect(listed.find(({ id }) => id === 'late-payer')).toMatchObject({ suspendedAt: null });
      const unknown = await runAtlas(folder, ['organizations', 'suspend', 'nobody'], {});
      expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('organizations list') });
    } finally {
      await atlas.end('SIGTERM');
    }
  },
  COMMAND_TIMEOUT_MS,
);
