import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import type { Tx } from '../../idempotency.ts';
import { toNdjson } from '../stream-lines.ts';
import type { ExportRepository } from './repository.ts';

/** Yields the lines of a feature in one snapshot. */
export type ExportLines = (tx: Tx, owner: string) => AsyncGenerator<readonly object[], void, undefined>;

/** What is exported, and how. */
export interface ExportOptions {
  readonly documents: boolean;
  /** Whether the caller may still read it. Asked now and then. */
  readonly isAllowed: (signal: AbortSignal) => Promise<boolean>;
}

/** Exports everything of an organization as lines of JSON. All throw `AtlasError`. */
export interface ExportService {
  /**
   * Opens a stream. Its first bytes are read when this resolves; if something fails later, it ends without its last
   * line. Calls `ended` once, before the stream ends.
   */
  open(
    owner: string,
    actor: Actor,
    options: ExportOptions,
    signal: AbortSignal,
    ended: () => void,
  ): Promise<ReadableStream<Uint8Array>>;
}

/** Counts of this process. */
export interface ExportStats {
  exportsRunning: number;
  exportedLines: number;
}

/** Dependencies of {@link createExportService}. */
export interface ExportPorts {
  readonly repository: ExportRepository;
  readonly terms: Record<'templates' | 'limits' | 'exchanges', ExportLines>;
  readonly kindLines: ExportLines;
  readonly documentLines: ExportLines;
  readonly stats: ExportStats;
}

// Each has a connection, and a snapshot that keeps PostgreSQL from cleaning up.
const EXPORTS_MAX = 2;
const RETRY_AFTER_SECONDS = 10;
const LEAVE_MS = 1000;
const VERSION = 1;
const CHUNK_CHARACTERS = 262_144;
const CHECK_MS = 4000;

export function createExportService(ports: ExportPorts): ExportService {
  const { repository, stats } = ports;
  /** The exports in progress: what waits for the end of each. */
  const owners = new Map<string, PromiseWithResolvers<void>>();
  return {
    async open(owner, actor, options, signal, ended) {
      // A reader that comes back at once does not wait for its former connection to be noticed.
      if (owners.has(owner)) await Promise.race([owners.get(owner)!.promise, Bun.sleep(LEAVE_MS)]);
      if (owners.has(owner)) throw busy('Your organization has an export in progress on this worker.');
      if (owners.size >= EXPORTS_MAX) throw busy(`This worker has ${EXPORTS_MAX} exports in progress.`);
      const running = Promise.withResolvers<void>();
      owners.set(owner, running);
      stats.exportsRunning = owners.size;
      const leave = () => {
        owners.delete(owner);
        running.resolve();
        stats.exportsRunning = owners.size;
        ended();
      };
      try {
        await repository.record(owner, options.documents, actor);
      } catch (error) {
        leave();
        throw error;
      }
      return pump(ports, owner, options, signal, leave);
    },
  };
}

/** Runs the snapshot in the background, only as fast as its reader reads. */
async function pump(
  { repository, stats, ...sources }: ExportPorts,
  owner: string,
  options: ExportOptions,
  signal: AbortSignal,
  leave: () => void,
): Promise<ReadableStream<Uint8Array>> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  const started = Promise.withResolvers<void>();
  let hasStarted = false;
  let checkMs = performance.now() + CHECK_MS;
  const write = async (tx: Tx) => {
    if (hasStarted) throw new Error('An export that was sent in part cannot be repeated.');
    let text = '';
    const flush = async () => {
      if (performance.now() > checkMs) {
        if (!(await options.isAllowed(signal))) throw new Error('The API key was revoked or has expired.');
        checkMs = performance.now() + CHECK_MS;
      }
      hasStarted = true;
      started.resolve();
      await writer.write(encoder.encode(text));
      text = '';
    };
    for await (const lines of linesOf({ ...sources, repository }, tx, owner, options)) {
      stats.exportedLines += lines.length;
      text += toNdjson(lines);
      if (text.length >= CHUNK_CHARACTERS) await flush();
    }
    await flush();
  };
  const running = repository.snapshot(write, signal);
  const done = running.then(() => writer.close());
  void done
    .catch((error) => {
      started.reject(error);
      // A write that waits for a reader ends, and with it the transaction.
      return writer.abort(error);
    })
    .catch(() => {})
    .finally(leave);
  await started.promise;
  return readable;
}

type Sources = Omit<ExportPorts, 'stats'>;

async function* linesOf(
  { repository: { lines: ledger }, terms, kindLines, documentLines }: Sources,
  tx: Tx,
  owner: string,
  { documents }: ExportOptions,
): AsyncGenerator<readonly object[]> {
  let lines = 1;
  yield [{ type: 'export', version: VERSION, organization: owner, createdAt: new Date().toISOString() }];
  // Limits come after what was posted, so that they do not refuse it.
  const parts = [
    ...(documents ? [kindLines] : []),
    terms.templates,
    ledger,
    terms.exchanges,
    terms.limits,
    ...(documents ? [documentLines] : []),
  ];
  for (const part of parts) {
    for await (const page of part(tx, owner)) {
      lines += page.length;
      yield page;
    }
  }
  yield [{ type: 'end', lines }];
}

function busy(detail: string): AtlasError {
  return new AtlasError('overloaded', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}
