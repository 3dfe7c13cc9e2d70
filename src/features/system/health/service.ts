import { AtlasError } from '../../../errors.ts';
import type { Lifecycle } from '../../../utils/lifecycle.ts';
import { orAbort } from '../../../utils/or-abort.ts';
import { aggregate, type DependencyHealth, type HealthStatus, type Probe } from './domain.ts';

const PROBE_TIMEOUT_MS = 2000;
// What was fine once is taken to be so while the database is slow: load balancers wait for less than a second, and
// would take all hosts out at once.
const RECHECK_TIMEOUT_MS = 100;
/** A dependency that responds more slowly than this is degraded. */
const SLOW_MS = 500;

/** Health checks. */
export interface HealthService {
  deep(): Promise<{ status: HealthStatus; dependencies: DependencyHealth[] }>;
  ready(): Promise<{ ready: boolean; reasons: string[] }>;
}

/** What readiness checks of the database. All reject if it does not respond now, which says nothing about it. */
export interface DatabaseChecks {
  isMigrated(signal: AbortSignal): Promise<boolean>;
  /** Whether what every request reads can be read, in the way requests read it. */
  isReadable(signal: AbortSignal): Promise<boolean>;
  /** Throws an `AtlasError` with a remedy if payments cannot be posted until an operator has fixed something. */
  requireCoreTables(signal: AbortSignal): Promise<void>;
  /** Called with that error at every check. */
  onUnusable(error: AtlasError): void;
}

export function createHealthService(
  probes: readonly Probe[],
  lifecycle: Lifecycle,
  database: DatabaseChecks,
): HealthService {
  const isMigrated = remembered(database.isMigrated);
  const isReadable = remembered(database.isReadable);
  let wasUsable = false;

  async function probe({
    name,
    mode,
    required,
    ping,
    breaker,
    failure = 'not responding',
  }: Probe): Promise<DependencyHealth & { required: boolean }> {
    const startMs = performance.now();
    // Evaluated after the ping, which may change the state of the breaker.
    const about = () => ({ name, mode, required, ...(breaker && { breaker: breaker() }) });
    try {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
      const latencyMs = Math.round((await orAbort(ping(signal), signal)) * 100) / 100;
      return { ...about(), status: latencyMs > SLOW_MS ? 'degraded' : 'healthy', latencyMs };
    } catch {
      // The cause is only logged, because this page may be public.
      const latencyMs = Math.round(performance.now() - startMs);
      return { ...about(), status: 'unhealthy', latencyMs, error: failure };
    }
  }

  /** Returns whether payments can be posted, as far as that is known. */
  async function checkTables(): Promise<boolean> {
    const limit = AbortSignal.timeout(wasUsable ? RECHECK_TIMEOUT_MS : PROBE_TIMEOUT_MS);
    try {
      await orAbort(database.requireCoreTables(limit), limit);
      wasUsable = true;
      return true;
    } catch (error) {
      // Any other error is that of a server that is slow or unavailable, which the other checks find.
      if (!(error instanceof AtlasError) || error.remedy === undefined) return true;
      database.onUnusable(error);
      return false;
    }
  }

  const deep = shared(async () => {
    const found = await Promise.all(probes.map(probe));
    return {
      status: aggregate(found),
      dependencies: found.map(({ required: _, ...dependency }) => dependency),
    };
  });

  const findReasons = shared(async () => {
    const required = probes.filter((each) => each.required);
    // A full pool does not make a process unready: its load would move to the others until none is left.
    const reaching = required.map((each) => probe({ ...each, ping: each.reach ?? each.ping }));
    const [migrated, readable, isUsable, ...found] = await Promise.all([
      isMigrated(),
      isReadable(),
      checkTables(),
      ...reaching,
    ]);
    const failed = found.filter(({ status }) => status === 'unhealthy');
    if (failed.length > 0) return failed.map(({ name }) => `${name} is not responding`);
    if (!isUsable && migrated !== false) return ['the database is not set up; the log says what is missing'];
    if (migrated === null) return ['cannot check whether the database is migrated'];
    if (!migrated) return ['the database is not migrated'];
    return readable === false ? ['requests cannot read the database'] : [];
  });

  return {
    deep,
    async ready() {
      const reasons = lifecycle.draining ? ['draining'] : await findReasons();
      return { ready: reasons.length === 0, reasons };
    },
  };
}

/** Returns the result of a check with a time limit; null if it fails now and has never succeeded before. */
function remembered(check: (signal: AbortSignal) => Promise<boolean>): () => Promise<boolean | null> {
  let wasTrue = false;
  return async () => {
    const limit = AbortSignal.timeout(wasTrue ? RECHECK_TIMEOUT_MS : PROBE_TIMEOUT_MS);
    try {
      wasTrue = await orAbort(check(limit), limit);
      return wasTrue;
    } catch {
      // A database that was migrated and readable still is when it is slow.
      return wasTrue || null;
    }
  };
}

/** Shares one result among concurrent calls, because these routes are public and never shed. */
function shared<T>(run: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | null = null;
  return () => {
    pending ??= run().finally(() => {
      pending = null;
    });
    return pending;
  };
}
