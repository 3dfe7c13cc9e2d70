import type { Lifecycle } from '../../../utils/lifecycle.ts';
import { orAbort } from '../../../utils/or-abort.ts';
import { aggregate, type DependencyHealth, type HealthStatus, type Probe } from './domain.ts';

const PROBE_TIMEOUT_MS = 2000;
/** Slower than this, a dependency answers but something is wrong with it. */
const SLOW_MS = 500;

/** The verbs of health. */
export interface HealthService {
  deep(): Promise<{ status: HealthStatus; dependencies: DependencyHealth[] }>;
  ready(): Promise<{ ready: boolean; reasons: string[] }>;
}

export function createHealthService(
  probes: readonly Probe[],
  lifecycle: Lifecycle,
  isMigrated: (signal: AbortSignal) => Promise<boolean>,
): HealthService {
  let wasMigrated = false;

  async function probe({
    name,
    mode,
    required,
    ping,
    breaker,
  }: Probe): Promise<DependencyHealth & { required: boolean }> {
    const startMs = performance.now();
    // Read after the answer: the probe may have changed it.
    const about = () => ({ name, mode, required, ...(breaker && { breaker: breaker() }) });
    try {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
      const latencyMs = Math.round((await orAbort(ping(signal), signal)) * 100) / 100;
      return { ...about(), status: latencyMs > SLOW_MS ? 'degraded' : 'healthy', latencyMs };
    } catch {
      // What exactly went wrong is for the log: this page may be open to everybody.
      const latencyMs = Math.round(performance.now() - startMs);
      return { ...about(), status: 'unhealthy', latencyMs, error: 'does not answer' };
    }
  }

  /** Null where nobody can tell: it was never asked well, and now there is no answer. */
  async function lookForMigrations(): Promise<boolean | null> {
    const limit = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    try {
      wasMigrated = await orAbort(isMigrated(limit), limit);
      return wasMigrated;
    } catch {
      // A database that has much to do has not lost its tables.
      return wasMigrated || null;
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
    // A full pool makes nobody unready: the others would have its callers too, and soon nobody would be left.
    const reaching = required.map((each) => probe({ ...each, ping: each.reach ?? each.ping }));
    const [migrated, ...found] = await Promise.all([lookForMigrations(), ...reaching]);
    const away = found.filter(({ status }) => status === 'unhealthy');
    if (away.length > 0) return away.map(({ name }) => `${name} does not answer`);
    if (migrated === null) return ['the database does not tell whether it is migrated'];
    return migrated ? [] : ['the database is not migrated'];
  });

  return {
    deep,
    async ready() {
      const reasons = lifecycle.draining ? ['draining'] : await findReasons();
      return { ready: reasons.length === 0, reasons };
    },
  };
}

/** One answer for all who ask until it is there: these pages are open to everybody, and nobody is refused them. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | null = null;
  return () => {
    pending ??= ask().finally(() => {
      pending = null;
    });
    return pending;
  };
}
