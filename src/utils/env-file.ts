import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

// A name without `=`: it would be skipped without a word.
const UNASSIGNED = /^[ \t]*(?:export[ \t]+)?([A-Za-z]\w*)[ \t]*(?::|[ \t])[ \t]*[^\s=:][^=\n]*$/gm;

/** The content of a `.env` file. */
export interface EnvFile {
  readonly values: Readonly<Record<string, string>>;
  /** Names on lines without `=`. */
  readonly unassigned: readonly string[];
}

/** Reads a `.env` file; one that does not exist is empty. Throws an Error with why and what to do. */
export function readEnvFile(path: string): EnvFile {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { values: {}, unassigned: [] };
    throw new Error(
      `${path} cannot be read.\n  why:  ${(error as Error).message}\n  do:   make it a file that this user may read, or remove it`,
    );
  }
  const text = decode(bytes, path);
  const values = parseEnv(text) as Record<string, string>;
  const unassigned = [...text.matchAll(UNASSIGNED)].flatMap(([, name]) => (name! in values ? [] : name!));
  return { values, unassigned };
}

function decode(bytes: Uint8Array, path: string): string {
  const encoding = encodingOf(bytes);
  if (encoding === null) return new TextDecoder().decode(bytes);
  throw new Error(
    `${path} is not UTF-8.\n  why:  it is ${encoding}, so none of its settings can be read reliably\n  do:   save it as UTF-8; in PowerShell, write it with: Out-File -Encoding utf8`,
  );
}

/** Returns what the bytes are instead of UTF-8, or null. A byte order mark of UTF-8 is allowed: Notepad writes one. */
function encodingOf(bytes: Uint8Array): string | null {
  const [a, b] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return 'UTF-16';
  if (bytes.includes(0)) return 'UTF-16 without a byte order mark, or not text';
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return null;
  } catch {
    return 'in another encoding, such as Windows-1252 or Latin-1';
  }
}
