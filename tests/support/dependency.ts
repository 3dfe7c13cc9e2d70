import { Dependency, type DependencyOptions } from '../../src/resilience/dependency.ts';

/** What the dependency of a test is away with. */
export class Away extends Error {
  override name = 'Away';
}

/** What callers of it are told. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** A dependency without a server: what it does is what the test has it do. `isThere` answers its probes. */
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
    isFailure: (error) => error instanceof Away,
    probe: async () => {
      server.probes++;
      if (!server.isThere) throw new Away();
    },
    unavailable: (cause) => new Unavailable('it is away', { cause }),
    ...options,
  });
  return { dependency, server };
}

/** Work that ends only when it is told to. */
export function endless(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
}

export async function fails(): Promise<never> {
  throw new Away();
}
