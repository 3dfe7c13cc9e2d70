import type { BenchDatabase } from '../support/database.ts';
import { load } from '../support/oha.ts';
import type { Server } from '../support/processes.ts';
import { progress } from '../support/progress.ts';
import { count, decimal } from '../support/statistics.ts';
import { pathOf } from './open-loop.ts';
import { POOL_SIZE, untilIdle } from './variants.ts';

// Fewer callers than connections cannot use them all; more only wait.
const CALLERS = [1, 1.2, 1.5, 2].map((factor) => POOL_SIZE * factor);
// A rate this close to the maximum counts as the maximum: the rest is noise.
const ENOUGH = 0.99;
const CAPACITY_MAX = 1000;

/** The capacity of the routes, and how it was determined. */
export interface Capacity {
  readonly perSecond: number;
  /** The fewest callers in a closed loop that reach it, and their latency. */
  readonly callers: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly tried: readonly { readonly callers: number; readonly perSecond: number; readonly p99Ms: number }[];
}

/**
 * Measures the capacity of a server that refuses nothing, in a closed loop: each caller sends its next request after the
 * response. The capacity is the rate of the fewest callers that reach it, and at most a thousand per second.
 */
export async function measureCapacity(
  oha: string,
  server: Server,
  database: BenchDatabase,
  seconds: number,
): Promise<Capacity> {
  const url = server.url + pathOf('default');
  await load(oha, url, server.pid, seconds, { connections: POOL_SIZE });
  const tried = [];
  for (const callers of CALLERS) {
    await untilIdle(server, database);
    const { requestsPerSecond, p50Ms, p99Ms } = await load(oha, url, server.pid, seconds, {
      connections: callers,
    });
    tried.push({ callers, perSecond: requestsPerSecond, p50Ms, p99Ms });
    progress(
      `capacity: ${callers} callers  ${count(requestsPerSecond).padStart(6)}/s, P99 ${decimal(p99Ms, 1)} ms`,
    );
  }
  const most = Math.max(...tried.map(({ perSecond }) => perSecond));
  const found = tried.find(({ perSecond }) => perSecond >= ENOUGH * most)!;
  return { ...found, perSecond: Math.min(found.perSecond, CAPACITY_MAX), tried };
}

/** Formats the capacity, and how it was determined, as a line of text. */
export function capacityText({ perSecond, callers, p50Ms, p99Ms, tried }: Capacity): string {
  const others = tried.map((step) => `${step.callers}: ${count(step.perSecond)}/s`).join(', ');
  return `${count(perSecond)}/s (P50 ${decimal(p50Ms, 1)} ms, P99 ${decimal(p99Ms, 1)} ms), reached by ${callers} callers in a closed loop without shedding, the fewest with at least ${ENOUGH * 100} % of the maximum. Tried: ${others}.`;
}
