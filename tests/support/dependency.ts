import { Dependency, type DependencyOptions } from '../../src/resilience/dependency.ts';

/** The error of a dependency that is unavailable. */
export class ConnectionLost extends Error {
  override name = 'ConnectionLost';
}

/** The error that callers get. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** A dependency without a server. `server.isThere` decides whether its probes succeed. */
export function testDependency(options: Partial<DependencyOptions> = {}) {
  const server = { isThere: true, probes: 0 };
  const dependency = new Dependency({
    name: 'thing',
    concurrencyMax: 10,
    waitingMax: 10,
    timeoutFloorMs: 1000,
    timeoutMaxMs: 1000,
    attemptsMax: 3,
    failureThreshold: 5,
    recoveryTimeoutMs: 60_000,
    isFailure: (error) => error instanceof ConnectionLost,
    probe: async () => {
      server.probes++;
      if (!server.isThere) throw new ConnectionLost();
    },
    unavailable: (cause) => new Unavailable('it is unavailable', { cause }),
    ...options,
  });
  return { dependency, server };
}

/** Work that runs until it is aborted. */
export function endless(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
}

export async function fails(): Promise<never> {
  throw new ConnectionLost();
}
