import { AtlasError } from '../../../errors.ts';
import type { BackgroundLoop } from '../../../resilience/background-loops.ts';
import { sleep } from '../../../utils/sleep.ts';
import type { FileService } from '../../files/service.ts';
import type { ClaimedImport, ImportFailure, LineCounts } from '../import.ts';
import type { LineTargets } from './line-writer.ts';
import type { Claims } from './repository.ts';
import { runImport } from './run-import.ts';
import { storedSource } from './sources.ts';

/** Dependencies of an {@link ImportLoop}. */
export interface ImportLoopOptions {
  readonly claims: Claims;
  readonly targets: LineTargets;
  readonly files: FileService;
  readonly count: (counts: LineCounts) => void;
  readonly onFailure: (error: unknown, text: string) => void;
}

// Imports of several organizations take turns of this length.
const TURN_MS = 5000;
const POLL_MS = 500;
const RETRY_MS = 1000;
// An error that is neither that of a line nor of a dependency would come back forever.
const ERRORS_MAX = 5;
const FILE_FAILURES: readonly string[] = ['file_not_found', 'file_corrupt'] satisfies ImportFailure[];

/**
 * Works on the imports of stored files, one at a time in this host. A process that is killed loses its lease, and
 * another one goes on where it was: what was posted twice has its effect once.
 */
export class ImportLoop implements BackgroundLoop {
  readonly name = 'imports';
  readonly #options: ImportLoopOptions;
  /** Errors of imports in a row. */
  readonly #errors = new Map<string, number>();

  constructor(options: ImportLoopOptions) {
    this.#options = options;
  }

  readonly run = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const claim = await this.#options.claims.claim();
      if (claim === null) {
        this.#errors.clear();
        await sleep(POLL_MS, signal);
      } else await this.#takeTurn(claim, signal);
    }
  };

  /** Rejects only if the database is unavailable. */
  async #takeTurn(claim: ClaimedImport, stop: AbortSignal): Promise<void> {
    const { claims, targets, files, count } = this.#options;
    const endMs = performance.now() + TURN_MS;
    const reading = new AbortController();
    try {
      const file = await files.findStored(claim.owner, claim.fileId!, reading.signal);
      const end = await runImport(claim, {
        claims,
        targets,
        source: storedSource(files, file, reading.signal),
        isOver: () => stop.aborted || performance.now() > endMs,
        onApplied: ({ counts }) => count(counts),
      });
      this.#errors.delete(claim.id);
      if (end === 'paused' || end === 'suspended') await claims.release(claim);
    } catch (error) {
      await this.#fail(claim, error, stop);
    } finally {
      reading.abort();
    }
  }

  async #fail(claim: ClaimedImport, error: unknown, stop: AbortSignal): Promise<void> {
    const { claims, onFailure } = this.#options;
    if (error instanceof AtlasError && FILE_FAILURES.includes(error.code)) {
      await claims.finish(claim, 'failed', error.code as ImportFailure);
      return;
    }
    onFailure(error, `an import was interrupted: ${claim.id}`);
    const errors = error instanceof AtlasError ? 0 : (this.#errors.get(claim.id) ?? 0) + 1;
    this.#errors.set(claim.id, errors);
    if (errors >= ERRORS_MAX) {
      this.#errors.delete(claim.id);
      await claims.finish(claim, 'failed', 'internal_error');
      return;
    }
    await claims.release(claim);
    await sleep(RETRY_MS, stop);
  }
}
