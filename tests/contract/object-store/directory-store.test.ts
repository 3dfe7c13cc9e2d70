import { afterAll, afterEach, beforeEach, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdtemp, readdir, readlink, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryStore } from '../../../src/adapters/object-store/directory-store.ts';
import { until } from '../../support/until.ts';
import { bytesOf, codeOf, keysOf, NEVER, put, unfinished } from './object-stores.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-test-objects-'));
});

afterEach(() => rm(folder, { recursive: true }));

const UPLOAD = { sizeBytes: 1, sha256: 'a'.repeat(64), mediaType: 'text/plain' };
const PRIVATE = 0o077;

test('a directory store creates nothing before it is needed', async () => {
  const store = directoryStore(join(folder, 'data'));
  expect(await keysOf(store)).toEqual([]);
  expect(await unfinished(store)).toBe(0);
  expect(await store.head('a')).toBeNull();
  expect(await store.get('a', { signal: NEVER })).toBeNull();
  await store.delete('a');
  expect(await readdir(folder)).toEqual([]);
});

test('objects and the secret are readable only by the user of Atlas', async () => {
  const store = directoryStore(folder);
  await put(store, 'files/secret-plan', bytesOf(10));
  await store.presignPut('files/other', UPLOAD, 60);
  const paths = await readdir(join(folder, 'objects'), { recursive: true });
  const modes = await Promise.all(
    paths.map(async (path) => (await stat(join(folder, 'objects', path))).mode),
  );
  expect(paths.length).toBeGreaterThan(2);
  expect(modes.filter((mode) => (mode & PRIVATE) !== 0)).toEqual([]);
  expect((await stat(join(folder, 'link-secret'))).mode & 0o777).toBe(0o600);
});

test('the check of a store creates nothing, and fails for what cannot be written', async () => {
  const store = directoryStore(join(folder, 'data'));
  await store.check!();
  expect(await readdir(folder)).toEqual([]);
  await put(store, 'a', bytesOf(1));
  await store.check!();
  await writeFile(join(folder, 'file'), '');
  for (const place of ['file', 'file/below'])
    expect(await codeOf(directoryStore(join(folder, place)).check!())).toBe('dependency_unavailable');
});

const disk = mkdtempSync(join(tmpdir(), 'atlas-test-disk-'));
const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', disk]).status === 0;
if (!isMounted) console.warn('A small disk cannot be mounted here. Skipping the tests of a full disk.');
afterAll(async () => {
  if (isMounted) spawnSync('umount', ['--lazy', disk]);
  await rm(disk, { recursive: true, force: true });
});

test.if(isMounted)(
  'uploads leave a tenth of a small disk to PostgreSQL, which stops without room',
  async () => {
    const store = directoryStore(join(disk, 'data'));
    const full = { code: 'dependency_unavailable', message: 'The object store is full.' };
    const bytes = bytesOf(1_000_000);
    await put(store, 'first', bytes);
    const endless = (async function* () {
      for (;;) yield bytesOf(250_000);
    })();
    const leftShare = async () => {
      const { bavail, blocks } = await statfs(disk);
      return bavail / blocks;
    };
    let least = 1;
    const upload = store.put('endless', endless, { mediaType: 'text/plain', signal: NEVER }).catch((e) => e);
    await until(async () => {
      least = Math.min(least, await leftShare());
      return least < 0.2 || null;
    });
    expect(await upload).toMatchObject(full);
    // What was written of it is gone, and gives the room back.
    expect(await leftShare()).toBeGreaterThan(0.9);
    expect(least).toBeGreaterThan(0.05);
    await store.check!();

    const keys: string[] = [];
    for (let error: unknown = null; error === null; ) {
      const key = `file-${keys.length}`;
      error = await put(store, key, bytes).then(
        () => keys.push(key) && null,
        (thrown) => thrown,
      );
      if (error !== null) expect(error).toMatchObject(full);
    }
    expect(keys.length).toBeGreaterThan(20);
    expect(await leftShare()).toBeGreaterThan(0.05);
    expect(await codeOf(store.check!())).toBe('dependency_unavailable');
    const read = await store.get('first', { signal: NEVER });
    expect(new Uint8Array(await new Response(read!).arrayBuffer())).toEqual(bytes);
    await store.delete(keys[0]!);
    await store.delete(keys[1]!);
    await store.check!();
    await put(store, 'again', bytes);
  },
);

test('a file in place of a folder makes the store unavailable, which is no bug of Atlas', async () => {
  await writeFile(join(folder, 'objects'), '');
  const store = directoryStore(folder);
  expect(await codeOf(put(store, 'a', bytesOf(1)))).toBe('dependency_unavailable');
  expect(await codeOf(store.get('a', { signal: NEVER }))).toBe('dependency_unavailable');
  expect(await codeOf(store.head('a'))).toBe('dependency_unavailable');
  expect(await codeOf(store.delete('a'))).toBe('dependency_unavailable');
  expect(await codeOf(keysOf(store))).toBe('dependency_unavailable');
  expect(await codeOf(unfinished(store))).toBe('dependency_unavailable');
});

test('an object that is deleted during a read can be read to its end', async () => {
  const store = directoryStore(folder);
  const bytes = bytesOf(3_000_000);
  await put(store, 'a', bytes);
  const stream = await store.get('a', { signal: NEVER });
  await store.delete('a');
  expect(new Uint8Array(await new Response(stream!).arrayBuffer())).toEqual(bytes);
});

test('a stream closes its file when it ends, is canceled, or is aborted', async () => {
  const store = directoryStore(folder);
  await put(store, 'a', bytesOf(3_000_000));
  const openFiles = async () => {
    const fds = await readdir('/proc/self/fd');
    const paths = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).then(String, () => '')));
    return paths.filter((path) => path.startsWith(folder)).length;
  };
  const controller = new AbortController();
  const streams = await Promise.all([1, 2, 3].map(() => store.get('a', { signal: controller.signal })));
  expect(await openFiles()).toBe(3);
  await new Response(streams[0]!).arrayBuffer();
  await streams[1]!.cancel();
  controller.abort();
  await until(async () => (await openFiles()) === 0);
});

test('a link is valid for every process of the same folder, and for no other', async () => {
  const { url } = await directoryStore(folder).presignPut('a', UPLOAD, 60);
  const query = new URL(url, 'http://atlas.test').searchParams;
  const again = directoryStore(folder).links!;
  expect(await again.open('PUT', 'a', query)).toEqual({ method: 'PUT', key: 'a', ...UPLOAD });
  expect(await codeOf(again.open('GET', 'a', query))).toBe('link_invalid');
  expect(await codeOf(directoryStore(join(folder, 'other')).links!.open('PUT', 'a', query))).toBe(
    'link_invalid',
  );
});
