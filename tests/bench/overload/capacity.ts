import type { BenchDatabase } from '../support/database.ts';
import { load } from '../support/oha.ts';
import type { Server } from '../support/processes.ts';
import { progress } from '../support/progress.ts';
import { count, decimal } from '../support/statistics.ts';
import { pathOf } from './open-loop.ts';
import { POOL_SIZE, untilIdle } from './variants.ts';

// Fewer callers than places cannot fill them; more only wait.
const CALLERS = [1, 1.2, 1.5, 2].map((factor) => POOL_SIZE * factor);
// So close to the most is as much as can be had: the rest is noise.
const ENOUGH = 0.99;
const CAPACITY_MAX = 1000;

/** Capacity of the routes, and how it was found. */
export interface Capacity {
  readonly perSecond: number;
  /** The fewest callers in a closed loop that reach it, and what they saw. */
  readonly callers: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly tried: readonly { readonly callers: number; readonly perSecond: number; readonly p99Ms: number }[];
}

/**
 * Measures the capacity of a server that refuses nothing in a closed loop: each caller asks again when it is answered.
 * The capacity is what the fewest callers reach that are enough, never more than a thousand a second.
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

/** The way in which the capacity was found, as a line for people. */
export function capacityText({ perSecond, callers, p50Ms, p99Ms, tried }: Capacity): string {
  const others = tried.map((step) => `${step.callers}: ${count(step.perSecond)}/s`).join(', ');
  return `${count(perSecond)}/s, the rate of ${callers} callers in a closed loop without shedding (P50 ${decimal(p50Ms, 1)} ms, P99 ${decimal(p99Ms, 1)} ms), the fewest that reach ${ENOUGH * 100} % of the most. Tried: ${others}.`;
}
