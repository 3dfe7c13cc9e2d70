import { parentPort } from 'node:worker_threads';
import type { Entry, StatementHead } from './domain.ts';
import { statementPdf } from './statement-pdf.ts';

/** A statement to render. */
export interface PdfTask {
  readonly head: StatementHead;
  readonly entries: readonly Entry[];
}

/** The PDF, or why there is none. */
export interface PdfResult {
  readonly bytes: Uint8Array | null;
  readonly error: Error | null;
}

parentPort!.on('message', async ({ head, entries }: PdfTask) => {
  try {
    parentPort!.postMessage({ bytes: await statementPdf(head, entries), error: null } satisfies PdfResult);
  } catch (error) {
    parentPort!.postMessage({ bytes: null, error: error as Error } satisfies PdfResult);
  }
});
