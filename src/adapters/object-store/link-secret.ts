import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from './directory-files.ts';

const SECRET_BYTES = 32;
const SECRET_FILE = 'link-secret';
const SECRET = /^[0-9a-f]{64}$/;

/**
 * The secret of this data folder, made by whichever process asks first. Others read the same one: a file gets the name
 * only when it is whole, and only if the name is free.
 */
export async function readLinkSecret(dataDir: string): Promise<Uint8Array> {
  const path = join(dataDir, SECRET_FILE);
  const known = await readSecret(path);
  if (known) return known;
  await mkdir(dataDir, { recursive: true });
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(randomBytes(SECRET_BYTES).toString('hex'));
    await file.sync();
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await file.close();
    await rm(temporary, { force: true });
  }
  return (await readSecret(path))!;
}

async function readSecret(path: string): Promise<Uint8Array | null> {
  const text = await unlessMissing(readFile(path, 'utf8'));
  if (text === null) return null;
  if (!SECRET.test(text.trim())) throw new Error(`${path} holds no secret: delete it, and links in use end`);
  return Buffer.from(text.trim(), 'hex');
}
