import type { WorkerStatus } from '../../src/cluster/messages.ts';
import type { ClusterStatus, SlotStatus } from '../../src/cluster/status-socket.ts';

/** Returns a status of idle workers, each with the given changes. */
export function clusterStatus(
  workers: readonly (Partial<WorkerStatus> & Partial<Pick<SlotStatus, 'heartbeatAgeSeconds' | 'busy'>>)[],
  { cap = 1000, port = 8000 } = {},
): ClusterStatus {
  const idle = {
    incarnation: 1,
    inFlight: 0,
    limit: 10,
    mode: 'static',
    cap,
    adaptiveLimit: null,
    cutoff: 0,
    refusedPerSecond: 0,
    loopDelayMs: 0.1,
    rssBytes: 1_048_576,
    breakers: {},
    draining: false,
  };
  return {
    pid: 99,
    host: '127.0.0.1',
    port,
    admin: null,
    uptimeSeconds: 10,
    cap,
    slots: workers.map(({ heartbeatAgeSeconds = 0.1, busy = false, ...worker }, slot) => ({
      slot,
      state: 'ready',
      uptimeSeconds: 10,
      restarts: 0,
      worker: { pid: 100 + slot, slot, ...idle, ...worker },
      heartbeatAgeSeconds,
      busy,
    })),
  };
}
