import { aggregate, type DependencyHealth, type HealthStatus, type Probe } from './domain.ts';

const PROBE_TIMEOUT_MS = 2000;
/** Slower than this, a dependency answers but something is wrong with it. */
const SLOW_MS = 500;

/** What the process knows about its own life. */
export interface Lifecycle {
  /** Set when the process was told to end: it finishes what it has and should get nothing new. */
  draining: boolean;
}

/** The verbs of health. */
export interface HealthService {
  deep(): Promise<{ status: HealthStatus; dependencies: DependencyHealth[] }>;
  ready(): Promise<{ ready: boolean; reasons: string[] }>;
}

export function createHealthService(
  probes: readonly Probe[],
  lifecycle: Lifecycle,
  isMigrated: () => Promise<boolean>,
): HealthService {
  async function probe({
    name,
    mode,
    required,
    ping,
  }: Probe): Promise<DependencyHealth & { required: boolean }> {
    const startMs = performance.now();
    try {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
      const latencyMs = Math.round((await orAbort(ping(signal), signal)) * 100) / 100;
      return { name, mode, required, status: latencyMs > SLOW_MS ? 'degraded' : 'healthy', latencyMs };
    } catch {
      // What exactly went wrong is for the log: this page may be open to everybody.
      const latencyMs = Math.round(performance.now() - startMs);
      return { name, mode, required, status: 'unhealthy', latencyMs, error: 'does not answer' };
    }
  }

  return {
    async deep() {
      const found = await Promise.all(probes.map(probe));
      return {
        status: aggregate(found),
        dependencies: found.map(({ required: _, ...dependency }) => dependency),
      };
    },
    async ready() {
      if (lifecycle.draining) return { ready: false, reasons: ['draining'] };
      const found = await Promise.all(probes.filter(({ required }) => required).map(probe));
      const reasons = found
        .filter(({ status }) => status === 'unhealthy')
        .map(({ name }) => `${name} does not answer`);
      if (reasons.length === 0 && !(await isMigrated().catch(() => false)))
        reasons.push('the database is not migrated');
      return { ready: reasons.length === 0, reasons };
    },
  };
}

/** Rejects at the abort, whatever the work does: what has fallen silent cannot even be told to cancel. */
function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
