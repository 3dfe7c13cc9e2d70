import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeKey, generateKey } from '../../../utils/sealing.ts';
import { type ChainKey, type Head, toChainKey } from './chain.ts';

const KEY_FILE = 'audit.key';
const HEAD_FILE = 'audit-head.json';
const OWNER_ONLY = 0o600;

/** The settings that the chain depends on. */
export interface ChainSettings {
  readonly ATLAS_DATA_DIR: string;
  readonly AUDIT_KEY?: string | undefined;
  readonly AUDIT_FORMER_KEYS: readonly string[];
}

/** What is kept outside of the database: the keys of the chain, and its head. */
export interface OutsideStore {
  /** Where the key comes from, for people; null if there is none. */
  readonly keySource: string | null;
  readonly headFile: string;
  /** The key that seals; null if there is none. With the embedded PostgreSQL, the first call creates its file. */
  sealingKey(): ChainKey | null;
  /** The key with this id; null if this host does not have it. */
  keyOf(id: string): ChainKey | null;
  /** The head that this host has seen last; null if it has seen none. Throws if the file is unreadable. */
  head(): Head | null;
  saveHead(head: Head): void;
}

/** Opens the store of this host. A key file is used only with the embedded PostgreSQL, next to whose folder it is. */
export function openOutsideStore(settings: ChainSettings, isEmbedded: boolean): OutsideStore {
  const { ATLAS_DATA_DIR: folder, AUDIT_KEY, AUDIT_FORMER_KEYS } = settings;
  const keyFile = join(folder, KEY_FILE);
  const headFile = join(folder, HEAD_FILE);
  const usesFile = AUDIT_KEY === undefined && isEmbedded;
  const former = AUDIT_FORMER_KEYS.map((text) => toChainKey(decodeKey(text)!));
  const set = AUDIT_KEY === undefined ? null : toChainKey(decodeKey(AUDIT_KEY)!);
  const stored = (): ChainKey | null => {
    const text = usesFile ? readIfExists(keyFile) : null;
    const key = text === null ? null : decodeKey(text.trim());
    if (text !== null && key === null) throw new Error(`${keyFile} is not a key of 32 bytes in base64.`);
    return key === null ? null : toChainKey(key);
  };

  return {
    keySource: AUDIT_KEY !== undefined ? 'AUDIT_KEY' : isEmbedded ? keyFile : null,
    headFile,
    sealingKey() {
      if (!usesFile) return set;
      if (readIfExists(keyFile) === null) createFile(keyFile, `${generateKey()}\n`);
      return stored();
    },
    keyOf: (id) => [set ?? stored(), ...former].find((key) => key?.id === id) ?? null,
    head() {
      const text = readIfExists(headFile);
      if (text === null) return null;
      const { position, seal } = JSON.parse(text) as Head;
      if (!Number.isSafeInteger(position) || typeof seal !== 'string')
        throw new Error(`${headFile} is not the head of an audit chain.`);
      return { position, seal };
    },
    saveHead({ position, seal }) {
      const draft = `${headFile}.${process.pid}`;
      writeFileSync(draft, `${JSON.stringify({ position, seal })}\n`, { mode: OWNER_ONLY });
      renameSync(draft, headFile);
    },
  };
}

/** Creates a file unless another process just did. */
function createFile(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: OWNER_ONLY, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function readIfExists(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
