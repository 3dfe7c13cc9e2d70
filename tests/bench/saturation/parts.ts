import type { LoadStream, RequestKind } from '../load/order.ts';
import { definePart } from '../part.ts';
import type { OverloadLoads } from '../plan.ts';
import { residentMebibytes } from '../support/cpu.ts';
import { median } from '../support/statistics.ts';
import { atLeast, atMost, type Target } from '../targets.ts';
import { IN_FLIGHT_MAX, measureOverload, type OverloadResult } from './overload.ts';
import type { OverloadRun } from './overload-run.ts';
import { startFullServer } from './refusal.ts';
import { startOnOneCore } from './setup.ts';
import { overloadTable, peakTable, tiersTable } from './table.ts';

const PAYMENTS: readonly LoadStream[] = [{ name: 'payments', kind: 'transfer', share: 1 }];
const READS: readonly LoadStream[] = [{ name: 'reads', kind: 'account', share: 1 }];
/** Payments are critical and reads are default; the caller marks a third of the reads as less urgent. */
const MIXED: readonly LoadStream[] = [
  { name: 'critical', kind: 'transfer', share: 0.1 },
  { name: 'default', kind: 'account', share: 0.6 },
  { name: 'non-critical', kind: 'account', share: 0.3, priority: 'u=7' },
];

const NOTE = `One worker of atlas serve and all of PostgreSQL on core 0; the client and Redis on core 1. The peak is the most 201 or 200
within 200 ms in a closed loop. Then an open loop: requests are due at a fixed rate, and latency counts from when one was due.
At most ${IN_FLIGHT_MAX.toLocaleString('en-US')} are in flight; what could not be sent within 20 ms is not sent. Means of one run, without its first second.
Ceiling: (1 − rc) ÷ (1 − c), r being what was sent ÷ peak, and c what a refusal costs ÷ what a served request costs. A client
core above 90 % is marked (!): then the client may have been the bottleneck. The ledger is verified after each run.`;

async function overload(name: string, streams: readonly LoadStream[], plan: OverloadLoads) {
  const one = await startOnOneCore();
  const full = await startFullServer(one.database);
  const micros: Partial<Record<RequestKind, number>> = {};
  for (const { kind } of streams) micros[kind] ??= (await full.cost(kind, plan.peakSeconds)).micros;
  await full.stop();
  const refusedMicros = streams.reduce((sum, { kind, share }) => sum + share * micros[kind]!, 0);
  const result = await measureOverload(one, { name, streams, plan, refusedMicros });
  return { ...result, residentMebibytes: residentMebibytes(one.atlas.pid) };
}

/** Returns the median over the runs at a load in which the value exists. */
function at({ runs }: OverloadResult, load: number, read: (run: OverloadRun) => number): number {
  const values = runs.filter((run) => run.load === load).map(read);
  return median(values.filter((value) => !Number.isNaN(value)));
}

const p99 = ({ all }: OverloadRun) => all.admitted.p99Ms ?? Number.POSITIVE_INFINITY;

function paymentTargets(result: OverloadResult): Target[] {
  const found = [1.7, 3, 10].map((load) => {
    const ceiling = at(result, load, (run) => run.ceiling);
    // Where refusals fill the processor, goodput must only not collapse.
    const bound = load === 10 || ceiling < 0.2 ? 0.5 : 0.9;
    const name = `payments at ${load} × the peak: goodput ÷ peak ÷ ceiling (${ceiling.toFixed(2)})`;
    return atLeast(
      name,
      at(result, load, (run) => run.ofCeiling),
      bound,
    );
  });
  for (const load of [3, 10])
    found.push(atMost(`P99 of admitted payments at ${load} ×`, at(result, load, p99), 200, 'ms', 0));
  return found;
}

function criticalShare({ streams }: OverloadRun): number {
  const { good, sent } = streams.find(({ name }) => name === 'critical')!;
  return good / sent;
}

/** More payments than one core can post. */
export const overloadPayments = definePart({
  title: 'Payments under overload',
  note: NOTE,
  measure: ({ plan }) => overload('payments', PAYMENTS, plan.overload),
  tables: (result) => [peakTable(result), overloadTable(result)],
  targets: paymentTargets,
});

/** More reads than one core can serve. */
export const overloadReads = definePart({
  title: 'Reads under overload',
  note: 'As for payments, with `GET /v1/accounts/{id}`.',
  measure: ({ plan }) => overload('reads', READS, plan.overload),
  tables: (result) => [peakTable(result), overloadTable(result)],
  targets: () => [],
});

/** All tiers at once. */
export const overloadMixed = definePart({
  title: 'Mixed overload',
  note: `As for payments, with 10 % payments (critical), 60 % reads (default), and 30 % reads with \`Priority: u=7\` (non-critical).
Served: 2xx within 200 ms ÷ sent.`,
  measure: ({ plan }) => overload('mixed', MIXED, plan.mixed),
  tables: (result) => [peakTable(result), overloadTable(result), tiersTable(result)],
  targets: (result) => [
    atLeast('critical tier at 5 × of mixed load, served %', at(result, 5, criticalShare) * 100, 99.5),
  ],
});
