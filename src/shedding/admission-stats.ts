import type { Decision } from './decision.ts';

/** Decisions since the start, and the current limits. */
export interface AdmissionStats {
  readonly inFlight: number;
  readonly decisions: readonly {
    readonly tier: string;
    readonly decision: Decision;
    readonly count: number;
  }[];
  readonly resources: readonly {
    readonly name: string;
    readonly inFlight: number;
    readonly limit: number;
    /** Whether the limit is engaged, so that requests may be refused. */
    readonly isEngaged: boolean;
  }[];
  /** Requests that one turn of the event loop may start; infinite while it is on time. */
  readonly loopLimit: number;
  readonly loopDelayMs: number;
  readonly cutoffLevel: number;
}
