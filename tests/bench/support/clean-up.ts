type CleanUp = () => void | Promise<void>;

const pending = new Set<CleanUp>();

/** Registers how to undo what the benchmark started. Returns a function that undoes it immediately, at most once. */
export function undoAtEnd(undo: CleanUp): () => Promise<void> {
  pending.add(undo);
  return async () => {
    if (pending.delete(undo)) await undo();
  };
}

/** Undoes all that is registered, newest first. Runs at the end, after an error and on a signal. */
export async function undoAll(): Promise<void> {
  for (const undo of [...pending].reverse()) {
    pending.delete(undo);
    try {
      await undo();
    } catch (error) {
      console.error(`bench: clean-up failed: ${error}`);
    }
  }
}

/** Cleans up on Ctrl+C too, so that no server is left running. */
export function undoOnSignals(): void {
  let isUndoing = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Ctrl+C arrives twice: from the terminal and from the launcher.
    process.on(signal, () => {
      if (isUndoing) return;
      isUndoing = true;
      void undoAll().then(() => process.exit(130));
    });
  }
}
