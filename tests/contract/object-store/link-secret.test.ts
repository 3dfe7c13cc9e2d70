import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readLinkSecret } from '../../../src/adapters/object-store/link-secret.ts';
import { codeOf } from './object-stores.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-test-secret-'));
});

afterEach(() => rm(folder, { recursive: true }));

test('concurrent callers get the same secret, and leave no other files', async () => {
  const secrets = await Promise.all(Array.from({ length: 20 }, () => readLinkSecret(folder)));
  expect(new Set(secrets.map((secret) => Buffer.from(secret).toString('hex'))).size).toBe(1);
  expect(secrets[0]!.byteLength).toBe(32);
  expect(await readdir(folder)).toEqual(['link-secret']);
});

test('an invalid file is an error that names it, and is not replaced', async () => {
  await writeFile(join(folder, 'link-secret'), 'short');
  const error = await codeOf(readLinkSecret(folder));
  expect(String(error)).toContain('link-secret');
  expect(await readFile(join(folder, 'link-secret'), 'utf8')).toBe('short');
});
