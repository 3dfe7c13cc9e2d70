export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';

/** One thing that Atlas needs from outside, as it was found just now. */
export interface DependencyHealth {
  readonly name: string;
  /** Whether it is part of this installation or reached over the network. */
  readonly mode: 'embedded' | 'connected';
  readonly status: HealthStatus;
  readonly latencyMs: number;
  /** Of its circuit breaker, where it has one: open means that nobody is let through to it now. */
  readonly breaker?: 'closed' | 'open' | 'half-open';
  readonly error?: string;
}

/** Something to probe. A required one makes Atlas unhealthy when it fails, another only degraded. */
export interface Probe {
  readonly name: string;
  readonly mode: 'embedded' | 'connected';
  readonly required: boolean;
  readonly ping: (signal: AbortSignal) => Promise<number>;
  /** Asked for readiness instead of `ping`: whether it is there at all, however much waits for it. */
  readonly reach?: (signal: AbortSignal) => Promise<number>;
  readonly breaker?: () => NonNullable<DependencyHealth['breaker']>;
}

/** The worst of a set of dependencies, where only a required one can make the whole unhealthy. */
export function aggregate(dependencies: readonly (DependencyHealth & { required: boolean })[]): HealthStatus {
  if (dependencies.some(({ status, required }) => status === 'unhealthy' && required)) return 'unhealthy';
  return dependencies.every(({ status }) => status === 'healthy') ? 'healthy' : 'degraded';
}
