import { AtlasError } from '../../../errors.ts';
import { IS_REPLAYED, idempotencyHeadersSchema, REPLAYED } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { FORCE_SCOPE } from '../reversal-schema.ts';
import { NewSetSchema, SetResultSchema } from './schemas.ts';
import type { SetService } from './service.ts';

const PATH = '/v1/sets';
const ALICE_TO_BOB = { debitAccountId: DEMO.alice, creditAccountId: DEMO.bob };

/** Mounts the posting of sets. */
export function mountSets(routes: RouteTable, sets: SetService): void {
  routes.mount(
    {
      method: 'post',
      path: PATH,
      operationId: 'postSet',
      summary: 'Post up to 1,000 movements as one unit',
      description:
        'Transfers, holds, posts, voids, reversals, and exchanges: either all take effect, in order, or none. Movements can refer to what earlier ones of the set have made. Safe to repeat with the same Idempotency-Key.',
      tag: 'Sets',
      tier: 'critical',
      resource: 'ledger',
      scope: 'transfers:write',
      headers: idempotencyHeadersSchema('order-4714-settlement'),
      body: NewSetSchema,
      example: {
        movements: [
          { type: 'hold', ...ALICE_TO_BOB, amount: 700, reference: 'Order 4714' },
          { type: 'post', holdFrom: 0, amount: 650, reference: 'Order 4714' },
          {
            type: 'transfer',
            debitAccountId: DEMO.bob,
            creditAccountId: DEMO.bank,
            amount: 15,
            reference: 'Fee',
          },
          {
            type: 'exchange',
            debitAccountId: DEMO.alice,
            sourceLiquidityAccountId: DEMO.euroLiquidity,
            targetLiquidityAccountId: DEMO.dollarLiquidity,
            creditAccountId: DEMO.aliceDollars,
            sourceAmount: 1000,
            rate: '1.08345',
            rounding: 'half_even',
          },
        ],
      },
      refusals: [
        'idempotency_key_in_progress',
        'idempotency_key_reused',
        'metadata_too_large',
        'queue_full',
        'set_refused',
      ],
      compressible: true,
      responses: { 200: jsonOf('One result per movement', SetResultSchema, REPLAYED) },
    },
    async ({ exchange, headers, body: { movements } }) => {
      const { owner, scopes } = exchange.principal!;
      const isForced = movements.some((movement) => movement.type === 'reverse' && movement.force);
      if (isForced && !scopes.includes(FORCE_SCOPE))
        throw new AtlasError('forbidden', `With \`force\`, this route requires the scope ${FORCE_SCOPE}.`);
      const identity = { owner, key: headers['Idempotency-Key'], path: PATH };
      const { result, replayed } = await sets.post(identity, movements, exchange);
      return exchange.json({ results: [...result] }, 200, replayed ? IS_REPLAYED : undefined);
    },
  );
}
