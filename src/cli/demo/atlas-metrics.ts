import type { DemoClient } from './client.ts';

/** What Atlas reports about itself at a moment; null if it does not respond. */
export interface AtlasMetrics {
  /** Circuit breakers that are not closed, such as `postgresql open`. */
  readonly breakers: readonly string[] | null;
  /** Rows of the outbox that have not been sent; each transfer has one. */
  readonly outboxRows: number | null;
}

/** Stands for metrics that could not be read. */
export const NO_METRICS: AtlasMetrics = { breakers: null, outboxRows: null };

const OUTBOX_ROWS = /^atlas_relay_backlog_rows(?:\{.*\})? (\d+)/m;
/** Matches breakers that are not closed. */
const BREAKER = /^atlas_circuit_breaker_state\{.*?dependency="([^"]+)".*?\} ([12])$/gm;
const STATES = ['closed', 'half-open', 'open'];

/** Reads `/metrics`, which covers all workers and does not wait for failed dependencies. Never throws. */
export async function readAtlasMetrics(client: DemoClient): Promise<AtlasMetrics> {
  try {
    const text = await client.readText('/metrics');
    const breakers = [...text.matchAll(BREAKER)].map(([, name, state]) => `${name} ${STATES[Number(state)]}`);
    return { breakers, outboxRows: Number(OUTBOX_ROWS.exec(text)?.[1]) };
  } catch {
    return NO_METRICS;
  }
}
