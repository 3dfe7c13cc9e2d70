import { definePart } from './part.ts';
import type { Rounds } from './plan.ts';
import { startFullServer } from './saturation/refusal.ts';
import { startDatabase } from './support/database.ts';
import { clientCoreText } from './support/oha.ts';
import { progress } from './support/progress.ts';
import { alignedTable, decimal, median } from './support/statistics.ts';
import { atMost } from './targets.ts';

const KINDS = {
  post: { label: 'POST /v1/transfers, refused', kind: 'transfer' },
  get: { label: 'GET /v1/accounts/{id}, refused', kind: 'account' },
  health: { label: 'GET /health, served', kind: '/health' },
} as const;
type Kind = keyof typeof KINDS;
const kinds = Object.keys(KINDS) as Kind[];

/** CPU time of one request in microseconds, by round. */
interface RefusalsResult {
  readonly micros: Readonly<Record<Kind, readonly number[]>>;
  readonly clientShares: Readonly<Record<Kind, number>>;
}

async function measure({ rounds, seconds }: Rounds): Promise<RefusalsResult> {
  const server = await startFullServer(await startDatabase());
  const micros: Record<Kind, number[]> = { post: [], get: [], health: [] };
  const clients: Record<Kind, number[]> = { post: [], get: [], health: [] };
  for (const kind of kinds) await server.cost(KINDS[kind].kind, 1);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < kinds.length; i++) {
      const kind = kinds[(i + round) % kinds.length]!;
      const seen = await server.cost(KINDS[kind].kind, seconds);
      micros[kind].push(seen.micros);
      clients[kind].push(seen.report.shares.client!);
      progress(
        `refusals: round ${round + 1}/${rounds}  ${KINDS[kind].label.padEnd(32)} ${decimal(seen.micros, 1)} µs`,
      );
    }
  }
  await server.stop();
  const clientShares = {
    post: median(clients.post),
    get: median(clients.get),
    health: median(clients.health),
  };
  return { micros, clientShares };
}

/** Median of the ratios of each round. */
function ratioOf({ micros }: RefusalsResult, kind: Kind): number {
  return median(micros[kind].map((value, round) => value / micros.health[round]!));
}

/** What a refusal costs, compared with a response without any work. */
export const refusals = definePart({
  title: 'The cost of a refusal',
  note: `A whole Atlas on core 0 whose only permit is held, 64 callers on core 1. CPU time of the server, in turn in each round.`,
  measure: ({ plan }) => measure(plan.refusals),
  tables: (result) => [
    alignedTable(
      ['request', 'CPU µs', 'range', '÷ served /health', 'client core'],
      kinds.map((kind) => [
        KINDS[kind].label,
        decimal(median(result.micros[kind]), 1),
        `${decimal(Math.min(...result.micros[kind]), 1)}–${decimal(Math.max(...result.micros[kind]), 1)}`,
        decimal(ratioOf(result, kind)),
        clientCoreText(result.clientShares[kind]),
      ]),
    ),
  ],
  targets: (result) => [atMost('a refused POST ÷ a served /health, CPU time', ratioOf(result, 'post'), 1.2)],
});
