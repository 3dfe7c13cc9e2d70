const startedMs = performance.now();

/** Tells on standard error what is being measured, with the time since the start. The tables go to standard output. */
export function progress(text: string): void {
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  process.stderr.write(`  ${clock}  ${text}\n`);
}
