import { createHash } from 'node:crypto';
import { sleep } from '../../utils/sleep.ts';
import type { StartedAtlas } from './started-atlas.ts';

/** Outcomes of storing and reading files. */
export interface FileTally {
  stored: number;
  read: number;
  /** Uploads and downloads that were refused or cut. Atlas promised nothing for these. */
  failed: number;
}

export interface FileLoad {
  /** Returns the outcomes since the last call. */
  takeTally(): FileTally;
  /** When the last call failed, or 0. */
  readonly lastFailureMs: number;
  /** Stops, then reads every stored file back. Returns how many there are, and how many are missing or differ. */
  finish(): Promise<{ readonly stored: number; readonly lost: number }>;
}

const SIZE_BYTES = 40_000;
const PAUSE_MS = 150;
const RESPONSE_MAX_MS = 15_000;

const emptyTally = (): FileTally => ({ stored: 0, read: 0, failed: 0 });
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Starts a caller that stores a file and reads it back, over and over. */
export function startFileLoad({ url, key }: StartedAtlas): FileLoad {
  const stopping = new AbortController();
  const headers = { Authorization: `Bearer ${key}` };
  const stored = new Map<string, string>();
  let tally = emptyTally();
  let lastFailureMs = 0;

  async function store(): Promise<string> {
    const bytes = Buffer.from(`${crypto.randomUUID()}\n`.repeat(SIZE_BYTES / 37));
    const response = await fetch(`${url}/v1/files?name=demo.txt`, {
      method: 'POST',
      keepalive: false,
      signal: AbortSignal.timeout(RESPONSE_MAX_MS),
      headers: { ...headers, 'Content-Type': 'text/plain' },
      body: bytes,
    });
    if (!response.ok) throw new Error(`POST /v1/files returned ${response.status}`);
    const { id } = (await response.json()) as { id: string };
    stored.set(id, sha256(bytes));
    return id;
  }

  /** Returns whether the content is what was stored. Throws if it cannot be read. */
  async function isIntact(id: string): Promise<boolean> {
    const signal = AbortSignal.timeout(RESPONSE_MAX_MS);
    const response = await fetch(`${url}/v1/files/${id}/content`, { keepalive: false, signal, headers });
    if (!response.ok) throw new Error(`GET /v1/files/${id}/content returned ${response.status}`);
    return sha256(new Uint8Array(await response.arrayBuffer())) === stored.get(id);
  }

  async function call(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const id = await store();
        tally.stored++;
        if (await isIntact(id)) tally.read++;
        else tally.failed++;
      } catch {
        tally.failed++;
        lastFailureMs = performance.now();
      }
      await sleep(PAUSE_MS, stopping.signal);
    }
  }

  const calling = call();
  return {
    takeTally() {
      const taken = tally;
      tally = emptyTally();
      return taken;
    },
    get lastFailureMs() {
      return lastFailureMs;
    },
    async finish() {
      stopping.abort();
      await calling;
      let lost = 0;
      for (const id of stored.keys()) if (!(await isIntact(id).catch(() => false))) lost++;
      return { stored: stored.size, lost };
    },
  };
}
