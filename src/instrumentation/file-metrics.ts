import type { Registry } from 'prom-client';
import { registerStats, type Sample } from './metrics.ts';

/** Counts of the files feature, as it keeps them. */
interface FileStats {
  readonly uploadsInFlight: number;
  readonly downloadsInFlight: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly uploads: Readonly<Record<'complete' | 'failed', number>>;
  readonly downloads: Readonly<Record<'complete' | 'cut', number>>;
  readonly refusedTypes: number;
  readonly corruptChunks: number;
  readonly damagedObjects: number;
  readonly reconciled: Readonly<Record<'expired' | 'deleted' | 'orphans' | 'aborted', number>>;
}

/** What this process does with files. `stats` is read when metrics are asked for. */
export function registerFileMetrics(registry: Registry, stats: FileStats): void {
  const prefix = 'atlas_files';
  const one = (read: () => number) => (): Sample[] => [{ labels: {}, value: read() }];
  const by = (label: string, read: () => Readonly<Record<string, number>>) => (): Sample[] =>
    Object.entries(read()).map(([name, value]) => ({ labels: { [label]: name }, value }));
  const gauge = (name: string, help: string, read: () => Sample[]) =>
    registerStats(registry, 'gauge', `${prefix}_${name}`, help, read);
  const counter = (name: string, help: string, read: () => Sample[]) =>
    registerStats(registry, 'counter', `${prefix}_${name}`, help, read);

  gauge(
    'uploads_in_flight',
    'Uploads that go on now',
    one(() => stats.uploadsInFlight),
  );
  gauge(
    'downloads_in_flight',
    'Downloads that go on now',
    one(() => stats.downloadsInFlight),
  );
  counter(
    'received_bytes_total',
    'Bytes of files that came in',
    one(() => stats.bytesIn),
  );
  counter(
    'sent_bytes_total',
    'Bytes of files that were delivered',
    one(() => stats.bytesOut),
  );
  counter(
    'uploads_total',
    'Uploads by how they ended',
    by('outcome', () => stats.uploads),
  );
  counter(
    'downloads_total',
    'Downloads by how they ended',
    by('outcome', () => stats.downloads),
  );
  counter(
    'refused_types_total',
    'Files refused for their type',
    one(() => stats.refusedTypes),
  );
  counter(
    'corrupt_chunks_total',
    'Chunks that were not delivered, because they are not what was stored',
    one(() => stats.corruptChunks),
  );
  counter(
    'damaged_objects_total',
    'Looks at a stored file that found its object missing or of another size',
    one(() => stats.damagedObjects),
  );
  counter(
    'reconciled_total',
    'What the reconciler did: uploads given up, deletions finished, orphans deleted, parts removed',
    by('what', () => stats.reconciled),
  );
}
