import type { Cache } from '../../adapters/cache/cache.ts';
import { CacheAside } from '../../adapters/cache/cache-aside.ts';
import type { ObjectStore } from '../../adapters/object-store/object-store.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { Incarnation } from '../../adapters/postgres/incarnation.ts';
import type { RouteTable } from '../../http/route.ts';
import type { Logger } from '../../instrumentation/logger.ts';
import type { Feature, FeatureDeclaration, SettingValues } from '../feature.ts';
import type { Idempotency } from '../idempotency.ts';
import { createDemoFiles } from './demo-files.ts';
import type { FileRecord } from './domain.ts';
import { fileEventTypes } from './event-types.ts';
import { registerFileMetrics } from './file-metrics.ts';
import { fileProblems } from './problems.ts';
import { createFileRepository } from './repository.ts';
import { mountFiles } from './router.ts';
import { isStoredFile } from './schemas.ts';
import { createFileService } from './service.ts';
import { fileSettings } from './settings.ts';

/** Files: their records in PostgreSQL, their bytes in the object store. */
export const files = {
  tags: ['Files'],
  scopes: { 'files:read': 'Read files.', 'files:write': 'Upload and delete files.' },
  problems: fileProblems,
  eventTypes: fileEventTypes,
  settings: fileSettings,
} as const satisfies FeatureDeclaration;

/** Dependencies of files. */
export interface FilePorts {
  readonly database: Database;
  /** Holds the uploads that this process receives. */
  readonly incarnation: Incarnation;
  readonly objects: ObjectStore;
  readonly idempotency: Idempotency;
  readonly cache: Cache;
  readonly logger: Logger;
  /** Whether an event was ever written for the key. */
  isKeyUsed(key: string): Promise<boolean>;
  /** Whether an API key is neither revoked nor expired. */
  readonly isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>;
  readonly settings: SettingValues<typeof fileSettings>;
}

export function createFiles(ports: FilePorts) {
  const { database, incarnation, objects, idempotency, cache, logger, settings } = ports;
  const limits = { sizeBytesMax: settings.FILES_MAX_BYTES, timeoutMs: settings.FILES_TIMEOUT * 1000 };
  const fileCache = openFileCache(cache);
  const service = createFileService({
    repository: createFileRepository(database, incarnation),
    objects,
    idempotency,
    cache: fileCache,
    ...limits,
    isKeyUsable: ports.isKeyUsable,
    onDamaged: ({ id }, found) => logger.error({ file: id, found }, 'a stored file is damaged'),
  });
  return {
    service,
    seed: () => createDemoFiles(service, ports.isKeyUsed),
    mount: (routes: RouteTable) => mountFiles(routes, service, limits),
    metrics: (registry) => registerFileMetrics(registry, service.stats),
    caches: [fileCache],
    jobs: [
      { name: 'end uploads of dead workers', by: 'one', everyMs: 1000, run: service.endLost },
      { name: 'settle files', by: 'one', everyMs: 60_000, run: service.settle },
      { name: 'delete orphaned objects', by: 'one', everyMs: 1_800_000, run: () => service.sweep() },
    ],
  } satisfies Feature & Record<string, unknown>;
}

function openFileCache(cache: Cache): CacheAside<FileRecord> {
  return new CacheAside<FileRecord>({
    cache,
    name: 'file.v1',
    ttlMs: 60_000,
    staleMs: 300_000,
    // Atlas generates the ids, so nobody requests one before its file exists.
    negativeTtlMs: 5_000,
    changes: true,
    fits: isStoredFile,
  });
}
