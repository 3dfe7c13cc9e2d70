type CleanUp = () => void | Promise<void>;

const pending = new Set<CleanUp>();

/** Remembers how to undo what the benchmark started. The answer undoes it at once, and only once. */
export function undoAtEnd(undo: CleanUp): () => Promise<void> {
  pending.add(undo);
  return async () => {
    if (pending.delete(undo)) await undo();
  };
}

/** Undoes whatever is still there, the newest first. Runs at the end, after an error and on a signal. */
export async function undoAll(): Promise<void> {
  for (const undo of [...pending].reverse()) {
    pending.delete(undo);
    try {
      await undo();
    } catch (error) {
      console.error(`bench: cleaning up failed: ${error}`);
    }
  }
}

/** Undoes everything on Ctrl+C too, so that no server stays behind. */
export function undoOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void undoAll().then(() => process.exit(130)));
  }
}
