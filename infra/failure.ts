/** An error that says what failed, why, and what to do about it. */
export function failure(what: string, why: string, remedy: string, cause?: unknown): Error {
  return new Error(`${what}\n  why:  ${why}\n  do:   ${remedy}`, cause === undefined ? {} : { cause });
}

/** The end of the output of a failed command, which usually holds the reason. */
export function lastLines(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr?.trim() || String(message)).split('\n').slice(-3).join('\n        ');
}
