export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';

/** The health of a dependency as of this probe. */
export interface DependencyHealth {
  readonly name: string;
  /** Whether Atlas runs the dependency itself or connects to it. */
  readonly mode: 'embedded' | 'connected';
  readonly status: HealthStatus;
  readonly latencyMs: number;
  /** State of its circuit breaker, if it has one. An open breaker rejects all calls. */
  readonly breaker?: 'closed' | 'open' | 'half-open';
  readonly error?: string;
}

/** A dependency to probe. If a required one fails Atlas is unhealthy, otherwise degraded. */
export interface Probe {
  readonly name: string;
  readonly mode: 'embedded' | 'connected';
  readonly required: boolean;
  readonly ping: (signal: AbortSignal) => Promise<number>;
  /** Replaces `ping` for readiness: whether the dependency responds at all, however long its queue. */
  readonly reach?: (signal: AbortSignal) => Promise<number>;
  /** What a failure means, if not that the dependency does not respond. */
  readonly failure?: string;
  readonly breaker?: () => NonNullable<DependencyHealth['breaker']>;
}

/** Returns the overall status. Only a required dependency can make it unhealthy. */
export function aggregate(dependencies: readonly (DependencyHealth & { required: boolean })[]): HealthStatus {
  if (dependencies.some(({ status, required }) => status === 'unhealthy' && required)) return 'unhealthy';
  return dependencies.every(({ status }) => status === 'healthy') ? 'healthy' : 'degraded';
}
