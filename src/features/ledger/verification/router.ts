import { z } from '@hono/zod-openapi';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { LedgerSchema } from '../../../http/schemas.ts';
import type { LedgerService } from './service.ts';

const VerificationSchema = z
  .strictObject({
    ok: z.boolean(),
    accounts: z.int(),
    transfers: z.int(),
    ledgers: z
      .array(
        z.strictObject({
          ledger: LedgerSchema,
          accounts: z.int(),
          debitsPosted: z.string(),
          creditsPosted: z.string(),
        }),
      )
      .openapi({ description: 'The first 8,000 ledgers by name. All are verified.' }),
    discrepancies: z.array(
      z.strictObject({
        kind: z.enum([
          'ledger_unbalanced',
          'sums_differ',
          'version_gap',
          'balance_negative',
          'account_missing',
          'outbox_missing',
          'balance_differs',
          'pending_differs',
          'hold_differs',
          'reversed_differs',
        ]),
        at: z.string(),
        expected: z.string(),
        found: z.string(),
      }),
    ),
  })
  .openapi('Verification', {
    description: 'The result of a verification. Totals are strings, because they can exceed 2^53−1.',
  });

const COMMON = {
  method: 'get',
  tier: 'non-critical',
  resource: 'database',
  compressible: true,
  responses: { 200: jsonOf('The result of the verification', VerificationSchema) },
} as const;
const DESCRIPTION =
  'Recomputes every balance from the transfers in one snapshot and compares. Reads everything, so call it rarely: ' +
  'each worker runs one at a time, and calls during it share the next.';

/** Mounts the verification of what an organization has, and of the whole ledger for operators. */
export function mountLedger(
  routes: RouteTable,
  ledger: LedgerService,
  isIsolated: (signal: AbortSignal) => Promise<boolean>,
): void {
  routes.mount(
    {
      ...COMMON,
      path: '/v1/ledger/verification',
      operationId: 'verifyLedger',
      summary: 'Verify the ledger',
      description: `${DESCRIPTION} While organizations are isolated, it covers your accounts and their transfers.`,
      tag: 'Ledger',
      scope: 'ledger:admin',
    },
    async ({ exchange }) => {
      const { owner } = exchange.principal!;
      const isPart = await isIsolated(exchange.signal);
      return exchange.json(await ledger.verify(isPart ? owner : null, exchange.signal), 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      path: '/v1/operator/ledger/verification',
      operationId: 'verifyWholeLedger',
      summary: 'Verify the ledger of all organizations',
      description: DESCRIPTION,
      tag: 'Operators',
      scope: 'operator:read',
    },
    async ({ exchange }) => exchange.json(await ledger.verify(null, exchange.signal), 200),
  );
}
