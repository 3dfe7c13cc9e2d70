import type { App } from '../app.ts';
import type { Deps } from '../deps.ts';
import { residentMemory } from '../utils/resident-memory.ts';
import type { WorkerStatus } from './messages.ts';
import type { RefusalMonitor } from './refusal-monitor.ts';
import type { WorkerIdentity } from './supervisor-channel.ts';

/** Reads the status that a worker sends with its heartbeats. */
export class WorkerStatusReader {
  readonly #app: App;
  readonly #deps: Deps;
  readonly #identity: WorkerIdentity;
  readonly #refusals: RefusalMonitor;
  readonly #readMemory = residentMemory();

  constructor(app: App, deps: Deps, identity: WorkerIdentity, refusals: RefusalMonitor) {
    this.#app = app;
    this.#deps = deps;
    this.#identity = identity;
    this.#refusals = refusals;
  }

  /** Returns the current status. The loop delay is the longest since the last call. */
  read(): WorkerStatus {
    const { permits, lifecycle, dependencies } = this.#deps;
    const { mode, cap } = permits.stats();
    const admission = this.#app.admission.stats();
    const loopDelayMs = this.#app.loopDelays.takeLongestMs();
    return {
      pid: process.pid,
      slot: this.#identity.slot,
      incarnation: this.#identity.incarnation,
      inFlight: admission.inFlight,
      limit: permits.limitAt(performance.now()),
      mode,
      cap,
      adaptiveLimit: adaptiveLimitOf(admission),
      cutoff: admission.cutoffLevel,
      refusedPerSecond: this.#refusals.perSecond,
      loopDelayMs: Math.round(loopDelayMs * 10) / 10,
      rssBytes: this.#readMemory(),
      breakers: breakersOf(dependencies),
      draining: lifecycle.draining,
    };
  }
}

function breakersOf(dependencies: Deps['dependencies']): WorkerStatus['breakers'] {
  const breakers: Record<string, 'open' | 'half-open'> = {};
  for (const { name, state } of dependencies) if (state !== 'closed') breakers[name] = state;
  return breakers;
}

/** The lowest limit that is in force now, or null if none is. */
function adaptiveLimitOf({ resources, loopLimit }: ReturnType<App['admission']['stats']>): number | null {
  const engaged = resources.filter(({ isEngaged }) => isEngaged).map(({ limit }) => limit);
  const lowest = Math.min(loopLimit, ...engaged);
  return Number.isFinite(lowest) ? lowest : null;
}
