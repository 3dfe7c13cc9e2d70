import type { Registry } from 'prom-client';
import { registerStats, type Sample } from '../../instrumentation/register-stats.ts';
import type { FileStats } from './domain.ts';

/** Metrics of uploads, downloads, and the reconciler. `stats` is read at scrape time. */
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
    'Uploads in progress',
    one(() => stats.uploadsInFlight),
  );
  gauge(
    'downloads_in_flight',
    'Downloads in progress',
    one(() => stats.downloadsInFlight),
  );
  counter(
    'received_bytes_total',
    'Bytes received in uploads',
    one(() => stats.bytesIn),
  );
  counter(
    'sent_bytes_total',
    'Bytes sent in downloads',
    one(() => stats.bytesOut),
  );
  counter(
    'uploads_total',
    'Uploads by outcome',
    by('outcome', () => stats.uploads),
  );
  counter(
    'downloads_total',
    'Downloads by outcome',
    by('outcome', () => stats.downloads),
  );
  counter('refused_total', 'Uploads and downloads refused for lack of a slot, by limit', () =>
    Object.entries(stats.refused).flatMap(([what, counts]) =>
      Object.entries(counts).map(([limit, value]) => ({ labels: { what, limit }, value })),
    ),
  );
  counter(
    'refused_types_total',
    'Files refused because of their type',
    one(() => stats.refusedTypes),
  );
  counter(
    'corrupt_chunks_total',
    'Chunks not delivered because their checksum did not match',
    one(() => stats.corruptChunks),
  );
  counter(
    'damaged_objects_total',
    'Checks of a stored file that found its object missing or of a different size',
    one(() => stats.damagedObjects),
  );
  counter(
    'reconciled_total',
    'Actions of the reconciler: uploads expired, deletions finished, orphans deleted, parts removed',
    by('what', () => stats.reconciled),
  );
}
