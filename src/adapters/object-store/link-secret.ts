import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from './directory-files.ts';

const SECRET_BYTES = 32;
const SECRET_FILE = 'link-secret';
const SECRET = /^[0-9a-f]{64}$/;

/**
 * Returns the secret of this data folder, and creates it if there is none. Concurrent processes get the same secret:
 * the file is linked to its name only when it is complete, and only if the name is free.
 */
export async function readLinkSecret(dataDir: string): Promise<Uint8Array> {
  const path = join(dataDir, SECRET_FILE);
  const existing = await readSecret(path);
  if (existing) return existing;
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
  if (!SECRET.test(text.trim()))
    throw new Error(
      `${path} is not a valid link secret. Delete it to create a new one; links in use become invalid.`,
    );
  return Buffer.from(text.trim(), 'hex');
}
