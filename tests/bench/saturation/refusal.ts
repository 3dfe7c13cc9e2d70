import { until } from '../../support/until.ts';
import { runLoad } from '../load/run-load.ts';
import { startVariant, statsOf } from '../overload/variants.ts';
import { HOLD_PATH } from '../servers/overload-stats.ts';
import { CLIENT_CORE } from '../support/oha.ts';
import { progress } from '../support/progress.ts';
import { decimal, percent } from '../support/statistics.ts';
import type { OneCore } from './setup.ts';

const CALLERS = 64;
const ACCOUNTS = 1000;

/**
 * Returns the CPU time of a refused request of a kind, in microseconds: of a whole Atlas whose only permit is held by a
 * request that does not end. Nothing else is done meanwhile.
 */
export async function refusedMicrosOf(
  { database }: OneCore,
  kind: 'transfer' | 'account',
  seconds: number,
): Promise<number> {
  const env = { LOAD_SHEDDING_MAX_CONCURRENT: '1', HTTP_TIMEOUT: '240' };
  const server = await startVariant('atlas', 'database', database, { env });
  const holder = new AbortController();
  const held = fetch(server.url + HOLD_PATH, { signal: holder.signal }).catch(() => {});
  await until(async () => (await statsOf(server)).inFlight > 0);
  const { arrived, shares } = await runLoad(database, {
    url: server.url,
    accounts: ACCOUNTS,
    streams: [{ name: kind, kind, share: 1 }],
    callers: CALLERS,
    ratePerSecond: null,
    warmUpSeconds: 1,
    seconds,
    processes: { atlas: server.pid },
    core: CLIENT_CORE,
  });
  holder.abort();
  await held;
  await server.stop();
  if (arrived.served > 0) throw new Error(`Expected only refusals, but ${kind} requests were served.`);
  const micros = (shares.atlas! / arrived.refused) * 1e6;
  progress(
    `refusal: ${kind}  ${decimal(micros, 1)} µs, server core ${percent(shares.atlas!)}, client core ${percent(shares.client!)}`,
  );
  return micros;
}
