import { z } from '@hono/zod-openapi';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { LedgerSchema, TimestampSchema } from '../../../http/schemas.ts';
import type { BackgroundVerification } from './background.ts';
import { DISCREPANCY_KINDS } from './domain.ts';
import type { LedgerService } from './service.ts';

const DISCREPANCY = {
  kind: z.enum(DISCREPANCY_KINDS),
  at: z.string().openapi({ description: 'The ledger, account, transfer, hold, or key it was found at.' }),
  expected: z.string(),
  found: z.string(),
};

const BackgroundVerificationSchema = z
  .strictObject({
    ok: z.boolean(),
    passes: z.int().openapi({ description: 'Passes over all accounts that have ended.' }),
    entries: z
      .int()
      .openapi({ description: 'Entries that were read. Each is read once, unless its account was wrong.' }),
    startedAt: TimestampSchema.nullable().openapi({ description: 'When the last pass began.' }),
    finishedAt: TimestampSchema.nullable().openapi({ description: 'When a pass last ended.' }),
    discrepancies: z
      .array(z.strictObject({ ...DISCREPANCY, foundAt: TimestampSchema }))
      .openapi({ description: 'The first 100 that are still there, oldest first.' }),
  })
  .openapi('BackgroundVerification');

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
    discrepancies: z.array(z.strictObject(DISCREPANCY)),
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
  'Recomputes every balance from the entries and compares, in steps that each see one moment. Reads everything, so call it ' +
  'rarely: each worker runs one at a time, and calls during it share the next. `atlas verify` has no deadline.';

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

/** Mounts what the verification in the background has found. */
export function mountBackgroundVerification(routes: RouteTable, { read }: BackgroundVerification): void {
  routes.mount(
    {
      method: 'get',
      path: '/v1/operator/ledger/verification/background',
      operationId: 'getBackgroundVerification',
      summary: 'Get what the verification in the background has found',
      description:
        'One host at a time verifies the entries since its last pass, and stores what disagrees until it is repaired.',
      tag: 'Operators',
      tier: 'default',
      resource: 'database',
      scope: 'operator:read',
      responses: { 200: jsonOf('How far it is, and what it found', BackgroundVerificationSchema) },
    },
    async ({ exchange }) => {
      const { passes, entries, startedAt, finishedAt, discrepancies } = await read(exchange.signal);
      return exchange.json(
        {
          ok: discrepancies.length === 0,
          passes,
          entries,
          startedAt: startedAt?.toISOString() ?? null,
          finishedAt: finishedAt?.toISOString() ?? null,
          discrepancies: discrepancies.map((one) => ({ ...one, foundAt: one.foundAt.toISOString() })),
        },
        200,
      );
    },
  );
}
