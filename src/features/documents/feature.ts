import type { Database } from '../../adapters/postgres/database.ts';
import type { RouteTable } from '../../http/route.ts';
import { Turns } from '../../utils/turns.ts';
import type { Feature, FeatureDeclaration, SettingValues } from '../feature.ts';
import type { Searches } from '../searches.ts';
import { createDemoDocuments } from './demo-documents.ts';
import { registerDocumentMetrics } from './document-metrics.ts';
import type { DocumentStats } from './domain.ts';
import { documentEventTypes } from './event-types.ts';
import { createDocumentExport } from './export/repository.ts';
import { CompiledKinds } from './kinds/compiled-kinds.ts';
import { createKindRepository } from './kinds/repository.ts';
import { mountKinds } from './kinds/router.ts';
import { createKindService } from './kinds/service.ts';
import { documentProblems } from './problems.ts';
import { createDocumentRepository } from './records/repository.ts';
import { mountDocuments } from './records/router.ts';
import { createDocumentService } from './records/service.ts';
import { documentSettings } from './settings.ts';

/** Documents of accounts, such as what is known about a customer, validated and with their history. */
export const documents = {
  tags: ['Documents'],
  scopes: {
    'documents:read': 'Read documents of accounts, which may be about people, and their kinds.',
    'documents:write': 'Store and delete documents of accounts.',
    'document-kinds:write': 'Register kinds of documents, and change their schemas.',
  },
  problems: documentProblems,
  eventTypes: documentEventTypes,
  settings: documentSettings,
} as const satisfies FeatureDeclaration;

/** Dependencies of documents. */
export interface DocumentPorts {
  readonly database: Database;
  readonly searches: Searches;
  readonly settings: SettingValues<typeof documentSettings>;
}

export function createDocuments({ database, searches, settings }: DocumentPorts) {
  const stats: DocumentStats = {
    validations: { valid: 0, invalid: 0, too_complex: 0 },
    validationMs: 0,
    compilations: 0,
    schemaBytes: 0,
  };
  const bytesMax = settings.DOCUMENTS_MAX_BYTES;
  const turns = new Turns();
  const kinds = createKindService(createKindRepository(database, bytesMax, turns), new CompiledKinds(stats));
  const records = createDocumentService(
    createDocumentRepository(database, bytesMax, turns),
    kinds,
    stats,
    searches,
  );
  return {
    kinds,
    records,
    export: createDocumentExport(),
    seed: () => createDemoDocuments(kinds, records),
    mount(routes: RouteTable) {
      mountKinds(routes, kinds);
      mountDocuments(routes, records);
    },
    metrics: (registry) => registerDocumentMetrics(registry, stats),
  } satisfies Feature & Record<string, unknown>;
}
