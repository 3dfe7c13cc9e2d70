import { Worker } from 'node:worker_threads';
import { limitConcurrencyByOwner } from '../../../utils/concurrency.ts';
import type { Entry, StatementHead } from './domain.ts';
import type { PdfResult, PdfTask } from './pdf-worker.ts';

// A statement of 10,000 entries takes some seconds.
const IDLE_MS = 30_000;
const RENDER_MS_MAX = 60_000;

let worker: Worker | null = null;
let idle: Timer | undefined;

const inTurn = limitConcurrencyByOwner(1);

/**
 * Renders a statement as PDF in a thread of its own, so that requests go on: one at a time, and owners take turns. The
 * thread starts with the first statement, and ends when it is idle, with its memory.
 */
export function renderPdf(
  owner: string,
  head: StatementHead,
  entries: readonly Entry[],
  signal?: AbortSignal,
): Promise<Uint8Array> {
  return inTurn(owner, () => {
    signal?.throwIfAborted();
    return render(head, entries);
  });
}

async function render(head: StatementHead, entries: readonly Entry[]): Promise<Uint8Array> {
  clearTimeout(idle);
  const thread = worker ?? new Worker(new URL('./pdf-worker.ts', import.meta.url));
  worker = thread;
  let timer: Timer | undefined;
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      thread.removeAllListeners();
      thread.on('message', ({ bytes, error }: PdfResult) => (bytes ? resolve(bytes) : reject(error)));
      thread.on('error', reject);
      thread.on('exit', () => reject(new Error('The thread that renders statements has ended.')));
      timer = setTimeout(() => reject(new Error('Rendering the statement took too long.')), RENDER_MS_MAX);
      thread.postMessage({ head, entries } satisfies PdfTask);
    });
  } catch (error) {
    void discard(thread);
    throw error;
  } finally {
    clearTimeout(timer);
    idle = setTimeout(() => void discard(thread), IDLE_MS);
    idle.unref();
    // It must not keep the process running. A listener would, so this comes last.
    thread.unref();
  }
}

async function discard(thread: Worker): Promise<void> {
  if (worker === thread) worker = null;
  thread.removeAllListeners();
  await thread.terminate();
}
