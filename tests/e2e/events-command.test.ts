import { afterAll, beforeAll, expect, test } from 'bun:test';
import { EventWorld } from '../contract/event-log/event-world.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { makeFolder, removeFolder, runAtlas } from './atlas-process.ts';

const TIMEOUT_MS = 60_000;
let folder: string;
let world: EventWorld;
beforeAll(async () => {
  folder = await makeFolder();
  world = await EventWorld.open('postgresql');
}, START_TIMEOUT_MS);
afterAll(async () => {
  await world.close();
  await removeFolder(folder);
});

const atlas = (...args: string[]) => runAtlas(folder, ['events', ...args], { DATABASE_URL: world.url });

test(
  'atlas events shows the backlog and parked keys, and retries a key after its cause is fixed',
  async () => {
    expect((await atlas('parked')).stdout).toBe('No keys are parked.\n');
    for (const sequence of [0, 2]) await world.tell('the-key', sequence);
    await world.relayAll();
    await world.tell('waits', 0);
    const status = await atlas();
    expect(status.stdout).toMatch(/^backlog +1 row, the oldest waiting for (less than a second|\d+ s)$/m);
    expect(status.stdout).toContain('parked       1 key with 1 event;');
    expect(status.stdout).toContain('relay        not running');
    const listed = await atlas('parked');
    expect(listed.stdout).toMatch(/^the-key +\S+Z +1 +parked +event 2 does not follow event 0$/m);

    const unknown = await atlas('retry', 'another');
    expect({ code: unknown.code, stdout: unknown.stdout }).toEqual({ code: 1, stdout: '' });
    expect(unknown.stderr).toContain('the key another is not parked');
    expect((await atlas('retry')).stderr).toContain('the command takes either one key or --all');
    expect((await atlas('retry', 'the-key', '--all')).code).toBe(1);
    const retried = await atlas('retry', 'the-key');
    expect(retried).toMatchObject({ code: 0, stderr: '' });
    expect(retried.stdout).toStartWith('1 key will be retried');
    expect(JSON.parse((await atlas('parked', '--json')).stdout)).toMatchObject([
      { key: 'the-key', retry: true },
    ]);
    expect(JSON.parse((await atlas('status', '--json')).stdout)).toMatchObject({ unsent: 1, parkedKeys: 1 });
  },
  TIMEOUT_MS,
);
