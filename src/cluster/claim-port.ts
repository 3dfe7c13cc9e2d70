const WAIT_MAX_MS = 3000;
const WAIT_MS = 50;

/**
 * Finds out that nobody else listens on the port, by listening on it alone for a moment, and answers which one it is:
 * for 0 a free one. Workers share the port, so without this a second Atlas would quietly take half of the requests of
 * the first. The workers of a supervisor that was killed may still be closing, so it waits up to 3 s. Throws an Error
 * that says what to do.
 */
export async function claimPort(hostname: string, port: number, waitMaxMs = WAIT_MAX_MS): Promise<number> {
  const untilMs = performance.now() + waitMaxMs;
  for (;;) {
    try {
      const probe = Bun.serve({ hostname, port, fetch: () => new Response(null, { status: 503 }) });
      const found = probe.port!;
      await probe.stop(true);
      return found;
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      if (code === 'EADDRINUSE' && performance.now() < untilMs) {
        await Bun.sleep(WAIT_MS);
        continue;
      }
      throw new Error(
        `Atlas cannot listen on ${hostname}:${port}.\n  why:  ${message}\n  do:   stop what uses the port, or set API_PORT to another one`,
        { cause: error },
      );
    }
  }
}
