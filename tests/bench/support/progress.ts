const startedMs = performance.now();

/** Prints progress with the elapsed time to standard error. The tables go to standard output. */
export function progress(text: string): void {
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  process.stderr.write(`  ${clock}  ${text}\n`);
}
