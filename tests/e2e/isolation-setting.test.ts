import { afterEach, beforeEach, expect, test } from 'bun:test';
import { DEMO_ACCOUNTS } from '../../src/utils/demo-data.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas, succeedAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 120_000;
const SWITCHED = 'from now on,';

let folder: string;
let atlas: AtlasProcess | null;
beforeEach(async () => {
  folder = await makeFolder();
  atlas = null;
});
afterEach(async () => {
  await atlas?.end('SIGKILL');
  await removeFolder(folder);
});

test(
  'ISOLATION switches what organizations see at a start, says so once, and stays as it is without the setting',
  async () => {
    let token = '';
    const start = async (settings: Record<string, string> = {}) => {
      await atlas?.end('SIGTERM');
      atlas = await startAtlas(folder, settings);
      token ||= (
        await succeedAtlas(folder, ['key', 'create', '--owner', 'umbrella', '--name', 'test'])
      ).trim();
      const headers = { Authorization: `Bearer ${token}` };
      const response = await fetch(`${atlas.url}/v1/accounts/${DEMO_ACCOUNTS.bob}`, { headers });
      return [response.status, atlas.output().includes(SWITCHED)];
    };
    expect(await start()).toEqual([404, false]);
    expect(await start({ ISOLATION: 'off' })).toEqual([200, true]);
    expect(await start({ ISOLATION: 'off' })).toEqual([200, false]);
    const doctor = await succeedAtlas(folder, ['doctor']);
    expect(doctor).toContain('not isolated');
    expect(doctor).toContain('start Atlas with ISOLATION=on');
    expect(await start()).toEqual([200, false]);
    expect(await start({ ISOLATION: 'on' })).toEqual([404, true]);
    expect(await start()).toEqual([404, false]);
  },
  TIMEOUT_MS,
);
