import { until } from '../../support/until.ts';
import { HOLD_PATH } from '../servers/overload-stats.ts';
import type { BenchDatabase } from '../support/database.ts';
import { type Load, load } from '../support/oha.ts';
import { progress } from '../support/progress.ts';
import { decimal, median, percent } from '../support/statistics.ts';
import { pathOf } from './open-loop.ts';
import { startVariant, statsOf } from './variants.ts';

const SERVED_PATH = '/health/live';
const TOO_MANY_REQUESTS = 429;
const WARM_UP_SECONDS = 1;

/** The cost of a refusal and of a response without any work, in microseconds of server CPU time. */
export interface RefusalCost {
  readonly refusedMicros: number;
  readonly servedMicros: number;
  /** Median of the ratios of each round. */
  readonly ratio: number;
  readonly rounds: readonly { readonly refusedMicros: number; readonly servedMicros: number }[];
}

/**
 * Measures refusals of a full Atlas in turn with `GET /health/live`, which is never shed. The only permit of the server
 * is held by a request that does not end.
 */
export async function measureRefusalCost(
  oha: string,
  database: BenchDatabase,
  { refusalRounds, refusalSeconds }: { refusalRounds: number; refusalSeconds: number },
): Promise<RefusalCost> {
  const env = { LOAD_SHEDDING_MAX_CONCURRENT: '1', HTTP_TIMEOUT: '240' };
  const server = await startVariant('atlas', 'database', database, { env });
  const holder = new AbortController();
  const held = fetch(server.url + HOLD_PATH, { signal: holder.signal }).catch(() => {});
  await until(async () => (await statsOf(server)).inFlight > 0);
  const refused = (seconds: number) =>
    load(oha, server.url + pathOf('default'), server.pid, seconds, { status: TOO_MANY_REQUESTS });
  const served = (seconds: number) => load(oha, server.url + SERVED_PATH, server.pid, seconds);
  await refused(WARM_UP_SECONDS);
  await served(WARM_UP_SECONDS);
  const rounds: { refusedMicros: number; servedMicros: number }[] = [];
  for (let round = 0; round < refusalRounds; round++) {
    const [one, other] = [await refused(refusalSeconds), await served(refusalSeconds)];
    rounds.push({ refusedMicros: cpuMicros(one), servedMicros: cpuMicros(other) });
    progress(
      `refusal: round ${round + 1}/${refusalRounds}  refused ${decimal(cpuMicros(one), 1)} µs, served ${decimal(cpuMicros(other), 1)} µs, client core ${percent(one.clientShare)} and ${percent(other.clientShare)}`,
    );
  }
  holder.abort();
  await held;
  await server.stop();
  return {
    refusedMicros: median(rounds.map(({ refusedMicros }) => refusedMicros)),
    servedMicros: median(rounds.map(({ servedMicros }) => servedMicros)),
    ratio: median(rounds.map(({ refusedMicros, servedMicros }) => refusedMicros / servedMicros)),
    rounds,
  };
}

/** Returns the server CPU time per request, in microseconds. */
function cpuMicros({ serverShare, requestsPerSecond }: Load): number {
  return (serverShare / requestsPerSecond) * 1e6;
}
