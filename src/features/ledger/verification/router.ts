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

/** Mounts `/v1/ledger`. */
export function mountLedger(routes: RouteTable, ledger: LedgerService): void {
  routes.mount(
    {
      method: 'get',
      path: '/v1/ledger/verification',
      operationId: 'verifyLedger',
      summary: 'Verify the ledger',
      description:
        'Recomputes every balance from the transfers in one snapshot and compares. Reads everything, so call it rarely: ' +
        'each worker runs one at a time, and calls during it share the next.',
      tag: 'Ledger',
      tier: 'non-critical',
      resource: 'database',
      scope: 'ledger:admin',
      compressible: true,
      responses: { 200: jsonOf('The result of the verification', VerificationSchema) },
    },
    async ({ exchange }) => exchange.json(await ledger.verify(exchange.signal), 200),
  );
}
