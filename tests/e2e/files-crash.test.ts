import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { freePort } from '../../infra/free-port.ts';
import { openPostgres } from '../../src/adapters/postgres/postgres.ts';
import { loadConfig } from '../../src/config.ts';
import { openDeps } from '../../src/deps.ts';
import { createFeatures } from '../../src/features.ts';
import { createLogger } from '../../src/instrumentation/logger.ts';
import { freshDatabase } from '../support/database.ts';
import { availableStores, gzipLike, MIB, reprDigestOf, sha256Of } from '../support/file-steps.ts';
import { s3Settings, startTestS3, type TestS3 } from '../support/s3.ts';
import { START_TIMEOUT_MS } from '../support/test-app.ts';
import { until } from '../support/until.ts';
import { type AtlasProcess, makeFolder, removeFolder, startAtlas } from './atlas-process.ts';

const CALLERS = 8;
const KILLS = 10;
const FILES_BETWEEN = 6;
const LATER_MS = 150;
const KEPT = 12;
const PAUSE_MS = 20;
// A negative grace period also covers new objects, so that the test need not wait.
const NO_GRACE_MS = -60_000;
const TIMEOUT_MS = 180_000;

let folder: string;
let databaseUrl: string;
let s3: TestS3 | null;
let atlas: AtlasProcess | undefined;

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);
beforeEach(async () => {
  folder = await makeFolder();
  databaseUrl = await freshDatabase();
});
afterEach(async () => {
  await atlas?.end('SIGKILL');
  await s3?.stop();
  await removeFolder(folder);
});

/** The responses that a caller got for its files. */
interface Responses {
  /** By id: the digest of files acknowledged with 201 or 200. */
  readonly stored: Map<string, string>;
  /** Acknowledged with 204. */
  readonly deleted: Set<string>;
  /** Deletions without a response. */
  readonly doubtful: Set<string>;
  acknowledged: number;
  cutOff: number;
}

async function responseOf(asked: Promise<Response>, responses: Responses): Promise<Response | null> {
  try {
    const response = await asked;
    // The body can be cut off too.
    return new Response(response.status === 204 ? null : await response.bytes(), response);
  } catch {
    responses.cutOff++;
    await Bun.sleep(PAUSE_MS);
    return null;
  }
}

/** Uploads, initiates uploads, completes and deletes until it is aborted. */
async function callUntil(signal: AbortSignal, url: string, key: string, responses: Responses): Promise<void> {
  const call = (method: string, path: string, init: RequestInit = {}) => {
    const target = path.startsWith('/') ? `${url}${path}` : path;
    const headers = { Authorization: `Bearer ${key}`, ...(init.headers as Record<string, string>) };
    return responseOf(fetch(target, { ...init, method, headers, keepalive: false }), responses);
  };
  const keep = async (response: Response | null, sha256: string) => {
    if (response?.status !== 201 && response?.status !== 200) return;
    const { id } = (await response.json()) as { id: string };
    responses.stored.set(id, sha256);
    responses.acknowledged++;
  };
  for (let i = 0; !signal.aborted; i++) {
    const bytes = gzipLike(1 + Math.floor(Math.random() * 3 * MIB));
    const sha256 = sha256Of(bytes);
    if (i % 3 === 0) {
      const json = { name: 'a', mediaType: 'application/gzip', sizeBytes: bytes.byteLength, sha256 };
      const initiated = await call('POST', '/v1/files/uploads', {
        body: JSON.stringify(json),
        headers: { 'Content-Type': 'application/json' },
      });
      if (initiated?.status !== 201) continue;
      const { file, upload } = (await initiated.json()) as {
        file: { id: string };
        upload: { url: string; headers: Record<string, string> };
      };
      // A presigned link needs no key.
      const target = new URL(upload.url, url);
      await responseOf(
        fetch(target, { method: 'PUT', headers: upload.headers, body: bytes, keepalive: false }),
        responses,
      );
      await keep(await call('POST', `/v1/files/${file.id}/complete`), sha256);
    } else {
      const headers = { 'Repr-Digest': reprDigestOf(bytes) };
      await keep(await call('POST', '/v1/files', { body: bytes, headers }), sha256);
    }
    const [victim] = responses.stored.keys();
    if (i % 2 === 0 || victim === undefined || responses.stored.size <= KEPT) continue;
    responses.stored.delete(victim);
    const response = await call('DELETE', `/v1/files/${victim}`);
    if (response?.status === 204) responses.deleted.add(victim);
    else responses.doubtful.add(victim);
  }
}

describe.each(availableStores())('Atlas, killed repeatedly, with files in the %s', (kind) => {
  test(
    'leaves no orphans, and every acknowledged file byte by byte',
    async () => {
      s3 = kind === 's3' ? await startTestS3() : null;
      const settings: Record<string, string> = {
        DATABASE_URL: databaseUrl,
        API_PORT: String(await freePort()),
        API_WORKERS: '1',
        ENVIRONMENT: 'staging',
        // A log line right after the banner would hide its end.
        LOG_LEVEL: 'error',
        ...(s3 && s3Settings(s3)),
      };
      atlas = await startAtlas(folder, settings);
      const { url, key } = atlas;
      const responses: Responses = {
        stored: new Map(),
        deleted: new Set(),
        doubtful: new Set(),
        acknowledged: 0,
        cutOff: 0,
      };
      const stop = new AbortController();
      const callers = Array.from({ length: CALLERS }, () => callUntil(stop.signal, url, key!, responses));

      for (let kill = 0; kill < KILLS; kill++) {
        const before = responses.acknowledged;
        await until(() => responses.acknowledged >= before + FILES_BETWEEN);
        await Bun.sleep(Math.random() * LATER_MS);
        if (kill % 2 === 1) {
          await atlas.end('SIGKILL');
          atlas = await startAtlas(folder, settings);
          continue;
        }
        const { slots } = await atlas.status();
        for (const { worker } of slots) if (worker) process.kill(worker.pid, 'SIGKILL');
      }
      stop.abort();
      await Promise.all(callers);
      await atlas.end('SIGTERM');
      // Otherwise nothing was in flight at the kills, and the test would prove little.
      expect(responses.cutOff).toBeGreaterThan(KILLS);
      expect(responses.stored.size).toBeGreaterThan(KEPT / 2);
      expect(responses.deleted.size).toBeGreaterThan(5);

      const { config } = loadConfig(
        { ...settings, ATLAS_DATA_DIR: join(folder, 'data'), ENVIRONMENT: 'test' },
        null,
      );
      const deps = await openDeps(config, createLogger(config, { write: () => {} }));
      const sql = openPostgres({ url: deps.databaseUrl, connectionsMax: 1, timeoutSeconds: 20 });
      try {
        const { service: files } = createFeatures(deps).files;
        const signal = AbortSignal.timeout(TIMEOUT_MS);
        // The leases of uploads whose process was killed expire, after five minutes.
        await sql`UPDATE files SET expires_at = now() WHERE state = 'uploading'`;
        await files.settle();
        await files.sweep(NO_GRACE_MS);
        // Otherwise no kill came between a row and its object.
        expect(files.stats.reconciled.deleted).toBeGreaterThan(0);

        const verification = await files.verify(true, signal, NO_GRACE_MS);
        expect(verification).toMatchObject({ ok: true, deleting: 0, discrepancies: [] });
        const rows = await sql<{ id: string; state: string; sha256: Buffer }[]>`
          SELECT id, state, sha256 FROM files`;
        const found = new Map(rows.map(({ id, sha256 }) => [id, sha256.toString('hex')]));
        expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['stored']));
        for (const [id, sha256] of responses.stored) expect(found.get(id)).toBe(sha256);
        for (const id of responses.deleted) expect(found.has(id)).toBe(false);

        // Each file has one event, and its deletion one: a row in the log, or one that waits in the outbox.
        const events = await sql<{ key: string; type: string; times: number }[]>`
          SELECT key, type, count(*) AS times FROM (
            SELECT key, type FROM outbox UNION ALL SELECT key, type FROM events) told
          WHERE type LIKE 'file.%' GROUP BY key, type`;
        expect(events.filter(({ times }) => times !== 1)).toEqual([]);
        const keysOf = (wanted: string) =>
          new Set(events.filter(({ type }) => type === wanted).map((event) => event.key));
        const [stored, deleted] = [keysOf('file.stored.v1'), keysOf('file.deleted.v1')];
        for (const id of found.keys())
          expect({ id, told: [stored.has(id), deleted.has(id)] }).toEqual({ id, told: [true, false] });
        for (const id of responses.deleted)
          expect({ id, told: [stored.has(id), deleted.has(id)] }).toEqual({ id, told: [true, true] });
        expect([...stored].filter((id) => !found.has(id) && !deleted.has(id))).toEqual([]);
      } finally {
        await sql.end({ timeout: 5 });
        await deps.close();
      }
    },
    TIMEOUT_MS,
  );
});
