import { z } from '@hono/zod-openapi';
import {
  AmountSchema,
  LedgerSchema,
  MetadataSchema,
  TimestampSchema,
  textSchema,
  UuidSchema,
} from '../../../http/schemas.ts';
import { BATCH_ITEMS_MAX, REFUSAL_DETAILS, type Transfer } from './domain.ts';

const REFERENCE_LENGTH_MAX = 200;

export const TransferSchema = z
  .strictObject({
    id: UuidSchema,
    debitAccountId: UuidSchema,
    creditAccountId: UuidSchema,
    ledger: LedgerSchema,
    amount: AmountSchema,
    reference: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    createdAt: TimestampSchema,
  })
  .openapi('Transfer');

/** Whether a value that was kept outside of the database is a transfer, and the one of the id. */
export function isTransfer(value: unknown, id: string): value is Transfer {
  const read = TransferSchema.safeParse(value);
  return read.success && read.data.id === id;
}

export const NewTransferSchema = z
  .strictObject({
    id: UuidSchema.optional().openapi({
      description: 'Yours, or left out: then it follows from the Idempotency-Key.',
    }),
    debitAccountId: UuidSchema.openapi({ description: 'The account that pays.' }),
    creditAccountId: UuidSchema.openapi({ description: 'The account that is paid.' }),
    amount: AmountSchema,
    reference: textSchema(REFERENCE_LENGTH_MAX).optional(),
    metadata: MetadataSchema.optional(),
  })
  .openapi('NewTransfer');

export const NewTransferBatchSchema = z
  .strictObject({
    transfers: z
      .array(NewTransferSchema)
      .min(1)
      .max(BATCH_ITEMS_MAX, `must have at most ${BATCH_ITEMS_MAX} items`),
    atomic: z.boolean().optional().openapi({ description: 'All or nothing. False by default.' }),
  })
  .openapi('NewTransferBatch');

const statuses = ['posted', 'exists', 'refused'] as const;

export const TransferBatchResultSchema = z
  .strictObject({
    results: z.array(
      z.strictObject({
        status: z.enum(statuses),
        id: UuidSchema,
        transfer: TransferSchema.optional(),
        code: z.enum(Object.keys(REFUSAL_DETAILS) as [string, ...string[]]).optional(),
        detail: z.string().optional(),
      }),
    ),
  })
  .openapi('TransferBatchResult', { description: 'One result for each item, in the order of the items.' });

export const TransferPageSchema = z
  .strictObject({ transfers: z.array(TransferSchema), nextCursor: z.string().nullable() })
  .openapi('TransferPage');

const KEY_RULE =
  'is required where money moves: 1 to 255 visible ASCII characters, new for each new request, the same for each retry';

/** So that a repetition can be told from a new request (draft-ietf-httpapi-idempotency-key-header). */
export const IdempotencyHeadersSchema = z.object({
  'Idempotency-Key': z
    .string(KEY_RULE)
    .regex(/^[!-~]{1,255}$/, KEY_RULE)
    .openapi({ description: KEY_RULE, example: 'order-4711-payment' }),
});
