import type { Database } from '../../adapters/postgres/database.ts';
import type { Incarnation } from '../../adapters/postgres/incarnation.ts';
import type { RouteTable } from '../../http/route.ts';
import type { Feature, FeatureDeclaration } from '../feature.ts';
import type { Idempotency } from '../idempotency.ts';
import { createExportRepository } from './export/repository.ts';
import { mountExport } from './export/router.ts';
import { createExportService, type ExportPorts } from './export/service.ts';
import { type LineCounts, noLines } from './import.ts';
import { ImportLoop, type ImportLoopOptions } from './import-runs/import-loop.ts';
import type { LineTargets } from './import-runs/line-writer.ts';
import { createClaims } from './import-runs/repository.ts';
import { createDemoImports } from './imports/demo-imports.ts';
import { importEventTypes } from './imports/event-types.ts';
import { type ImportStats, registerImportMetrics } from './imports/import-metrics.ts';
import { importProblems } from './imports/problems.ts';
import { createImportRepository } from './imports/repository.ts';
import { mountImports } from './imports/router.ts';
import { createImportService } from './imports/service.ts';
import { createTermsExport } from './terms-export/repository.ts';

/** Imports of files into the ledger, and the export of everything of an organization. */
export const imports = {
  tags: ['Imports'],
  scopes: {},
  problems: importProblems,
  eventTypes: importEventTypes,
  settings: {},
} as const satisfies FeatureDeclaration;

/** Dependencies of imports. */
export interface ImportPorts {
  readonly database: Database;
  /** Holds the imports that this process works on. */
  readonly incarnation: Incarnation;
  readonly idempotency: Idempotency;
  readonly files: ImportLoopOptions['files'];
  readonly ledger: Pick<LineTargets, 'templates' | 'limits'> & {
    readonly bulk: Pick<LineTargets, 'accounts' | 'posting'>;
  };
  readonly documents: {
    readonly kinds: LineTargets['kinds'];
    readonly records: LineTargets['documents'];
    readonly export: {
      readonly kinds: ExportPorts['kindLines'];
      readonly documents: ExportPorts['documentLines'];
    };
  };
  readonly isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>;
  readonly reportFailure: (error: unknown, text: string) => void;
}

const RETENTION_DAYS = 30;
const FINISHED_PER_OWNER_MAX = 100;

export function createImports(ports: ImportPorts) {
  const { database, incarnation, idempotency, files, ledger, documents, isKeyUsable, reportFailure } = ports;
  const stats: ImportStats = { lines: noLines(), unfinished: 0, exportsRunning: 0, exportedLines: 0 };
  const count = (counts: LineCounts) => {
    for (const name of Object.keys(counts) as (keyof LineCounts)[]) stats.lines[name] += counts[name];
  };
  const repository = createImportRepository(database);
  const service = createImportService(repository, files, idempotency);
  const claims = createClaims(database, incarnation);
  const { bulk, templates, limits } = ledger;
  const targets = { ...bulk, templates, limits, kinds: documents.kinds, documents: documents.records };
  const exports = createExportService({
    repository: createExportRepository(database),
    terms: createTermsExport(),
    kindLines: documents.export.kinds,
    documentLines: documents.export.documents,
    stats,
  });
  return {
    service,
    exports,
    claims,
    targets,
    seed: () => createDemoImports(repository),
    mount(routes: RouteTable) {
      mountImports(routes, service);
      mountExport(routes, exports, isKeyUsable);
    },
    metrics: (registry) => registerImportMetrics(registry, stats),
    loops: [new ImportLoop({ claims, targets, files, count, onFailure: reportFailure })],
    jobs: [
      {
        name: 'delete old imports',
        by: 'one',
        everyMs: 60_000,
        run: () => repository.forget(RETENTION_DAYS, FINISHED_PER_OWNER_MAX),
      },
      {
        name: 'count unfinished imports',
        by: 'one',
        everyMs: 15_000,
        run: async () => {
          stats.unfinished = await repository.running();
        },
      },
    ],
  } satisfies Feature & Record<string, unknown>;
}
