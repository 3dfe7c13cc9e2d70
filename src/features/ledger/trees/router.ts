import { z } from '@hono/zod-openapi';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { LedgerSchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { AMOUNT_MINOR_MAX } from '../../../utils/money.ts';
import { TREE_ACCOUNTS_MAX } from '../account.ts';
import type { TreeService } from './service.ts';

const SumSchema = z.int().min(0).max(AMOUNT_MINOR_MAX);
const RollupSchema = z
  .strictObject({
    accountId: UuidSchema,
    ledger: LedgerSchema,
    accounts: z.int().min(1).max(TREE_ACCOUNTS_MAX).openapi({ description: 'How many accounts it covers.' }),
    debitsPosted: SumSchema,
    creditsPosted: SumSchema,
    debitsPending: SumSchema,
    creditsPending: SumSchema,
    balance: z.int().openapi({ description: 'creditsPosted − debitsPosted.' }),
    available: z.int().openapi({ description: 'balance − debitsPending.' }),
    readAt: TimestampSchema.openapi({ description: 'All balances are those of one moment: this one.' }),
  })
  .openapi('Rollup');

/** Mounts what reads trees of accounts. */
export function mountTrees(routes: RouteTable, trees: TreeService): void {
  routes.mount(
    {
      tag: 'Accounts',
      tier: 'default',
      resource: 'database',
      method: 'get',
      path: '/v1/accounts/{id}/rollup',
      operationId: 'rollUpAccount',
      summary: 'Get the balance of an account with all accounts below it',
      description: `Of up to ${TREE_ACCOUNTS_MAX} accounts, all as they were at one moment.`,
      scope: 'accounts:read',
      params: z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) }),
      refusals: ['account_not_found', 'account_tree_too_large'],
      responses: { 200: jsonOf('The sums', RollupSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(await trees.rollup(exchange.principal!.owner, params.id, exchange.signal), 200),
  );
}
