import type { RedisScript } from '../../../src/adapters/redis/redis-script.ts';
import type { Quota } from '../../../src/features/identity/quota.ts';
import { Meter } from '../../../src/features/identity/quotas/meter.ts';
import {
  decodeGrants,
  encodeReports,
  type QuotaGrant,
  REPORT_MS,
} from '../../../src/features/identity/quotas/protocol.ts';

const REPLY_MS = 2;
const CALL_MS = 5;

interface Worker {
  readonly id: string;
  readonly meter: Meter;
  readonly reply: { readonly grant: QuotaGrant; readonly atMs: number } | null;
  readonly calledMs: number;
}

/**
 * The meters of one quota on some workers, in virtual time, with their account in a real Redis. Worker n runs the nth
 * script, as during an upgrade, and all report at an interval.
 */
export class QuotaCluster {
  readonly #scripts: readonly RedisScript[];
  readonly #intervalMs: number;
  readonly #subject: string;
  readonly #workers: Worker[];
  nowMs = 1_790_000_000_000;
  /** When each request was served. */
  readonly servedMs: number[] = [];

  constructor(
    scripts: readonly RedisScript[],
    subject: string,
    quota: Quota,
    workers: number,
    intervalMs = REPORT_MS,
  ) {
    this.#scripts = scripts;
    this.#intervalMs = intervalMs;
    this.#subject = subject;
    this.#workers = Array.from({ length: workers }, (_, i) => ({
      id: `w${i}`,
      meter: new Meter({ kind: 'key', id: subject }, quota, workers, (meter) => {
        meter.isActive = true;
      }),
      reply: null,
      calledMs: 0,
    }));
  }

  /** Offers a request to a worker. Returns whether it was served. */
  take(worker: number): boolean {
    const isServed = this.#workers[worker]!.meter.take(this.nowMs) === null;
    if (isServed) this.servedMs.push(this.nowMs);
    return isServed;
  }

  release(worker: number): void {
    this.#workers[worker]!.meter.slots!.release();
  }

  /** A worker forgets everything, as if its process were replaced. */
  replace(worker: number, quota: Quota): void {
    const fresh = new QuotaCluster(this.#scripts, this.#subject, quota, this.#workers.length);
    this.#workers[worker] = { ...fresh.#workers[worker]!, id: `${this.#workers[worker]!.id}'` };
  }

  /** Lets a millisecond pass. Workers report as they do in {@link Meters}. */
  async pass(): Promise<void> {
    this.nowMs++;
    for (const [i, worker] of this.#workers.entries()) {
      const { meter, reply, calledMs, id } = worker;
      if (reply !== null) {
        if (reply.atMs > this.nowMs) continue;
        meter.accept(reply.grant, this.nowMs);
        this.#workers[i] = { ...worker, reply: null };
      } else if (meter.isActive && meter.dueMs <= this.nowMs && calledMs + CALL_MS <= this.nowMs) {
        const args = encodeReports(id, [meter.report(this.nowMs, this.#intervalMs)], this.nowMs);
        const script = this.#scripts[i % this.#scripts.length]!;
        const [grant] = decodeGrants(await script.run([this.#subject], args));
        const atMs = this.nowMs + REPLY_MS;
        this.#workers[i] = { ...worker, reply: { grant: grant!, atMs }, calledMs: this.nowMs };
      }
    }
  }

  /** The most that was served in any second that starts at this time or later. */
  mostInASecond(fromMs: number): number {
    const times = this.servedMs.filter((ms) => ms >= fromMs);
    let start = 0;
    return times.reduce((most, ms, i) => {
      while (times[start]! <= ms - 1000) start++;
      return Math.max(most, i - start + 1);
    }, 0);
  }
}
