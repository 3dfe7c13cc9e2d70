// A worker of the lease tests: only the protocol over a Redis, and requests that only take time. It reads its demand from
// the board, and writes its stats there.
import { openRedis } from '../../src/adapters/redis/redis.ts';
import { RedisLeaseStore } from '../../src/adapters/redis/redis-lease-store.ts';
import { LEASE_ACCOUNT_SCRIPT } from '../../src/shedding/lease-script.ts';
import { SharedLeases } from '../../src/shedding/shared-leases.ts';
import { LeaseBoard, MODES } from './lease-board.ts';

const TICK_MS = 5;
const setting = (name: string) => process.env[`LEASE_${name}`]!;
const slot = Number(setting('SLOT'));
const board = new LeaseBoard(setting('BOARD'));
const workerIdOf = (anySlot: number) => `${setting('WORKER_IDS')}-${anySlot}`;
const redis = openRedis({ url: process.env.REDIS_URL!, timeoutMs: 5000 });
const permits = new SharedLeases({
  store: new RedisLeaseStore({ redis, script: LEASE_ACCOUNT_SCRIPT, prefix: setting('PREFIX') }),
  workerId: workerIdOf(slot),
  cap: Number(setting('CAP')),
  fallbackWorkers: Number(setting('WORKERS')),
  riseAfterMs: Number(setting('RISE_AFTER_MS')),
});
const endsAtMs: number[] = [];
let isLeaving = false;

permits.observe(() => ({
  inFlight: endsAtMs.length,
  wanted: Math.max(board.get(slot, 'demand'), endsAtMs.length),
  cutoff: 0,
  arrivals: 0,
}));

/** Ends due requests, then admits callers up to the limit. The others are refused and try again. */
function tick(): void {
  const nowMs = performance.now();
  for (let i = endsAtMs.length - 1; i >= 0; i--) {
    if (endsAtMs[i]! > nowMs) continue;
    board.released(slot);
    endsAtMs.splice(i, 1);
  }
  const demand = isLeaving ? 0 : board.get(slot, 'demand');
  const holdMs = board.get(slot, 'holdMs');
  while (endsAtMs.length < demand) {
    if (endsAtMs.length >= permits.limitAt(performance.now())) {
      permits.runShort();
      break;
    }
    // With equal durations, all requests would keep ending at the same time.
    endsAtMs.push(nowMs + holdMs * (0.5 + Math.random()));
    board.admitted(slot);
  }
  const death = board.get(slot, 'deathToReport');
  if (death > 0) {
    board.set(slot, 'deathToReport', 0);
    // If Redis is unreachable, the next tick tries again.
    permits.reportExit(workerIdOf(death - 1)).catch(() => board.set(slot, 'deathToReport', death));
  }
  const { mode, renewalFailures, workers } = permits.stats();
  board.set(slot, 'limit', permits.limitAt(nowMs));
  board.set(slot, 'renewalFailures', renewalFailures);
  board.set(slot, 'knownWorkers', workers);
  board.set(slot, 'mode', MODES.indexOf(mode));
}

setInterval(tick, TICK_MS);
process.once('SIGTERM', async () => {
  isLeaving = true;
  while (endsAtMs.length > 0) await Bun.sleep(TICK_MS);
  await permits.close();
  process.exit(0);
});
