import { z } from '@hono/zod-openapi';
import { AmountSchema, MetadataSchema, TimeSchema, UuidSchema } from '../../../http/schemas.ts';
import { ExceededLimitSchema } from '../limit-schema.ts';
import { BATCH_ITEMS_MAX, TRANSFER_REFUSALS } from '../movement.ts';
import { ReferenceSchema, TransferSchema } from '../transfer-schema.ts';

export const NewTransferSchema = z
  .strictObject({
    id: UuidSchema.nullish().openapi({
      description: 'ID of the transfer, of any version but 8; derived from the Idempotency-Key by default.',
    }),
    debitAccountId: UuidSchema.openapi({ description: 'Account to debit.' }),
    creditAccountId: UuidSchema.openapi({ description: 'Account to credit.' }),
    amount: AmountSchema,
    reference: ReferenceSchema.nullish(),
    metadata: MetadataSchema.nullish(),
    effectiveAt: TimeSchema.nullish().openapi({
      description:
        'When it takes effect, to the millisecond: now by default, never later, and at most `LEDGER_BACKDATE_DAYS` ago. What is available changes at once either way.',
      format: 'date-time',
    } as object),
  })
  .openapi('NewTransfer');

export const NewTransferBatchSchema = z
  .strictObject({
    transfers: z
      .array(NewTransferSchema)
      .min(1)
      .max(BATCH_ITEMS_MAX, `must have at most ${BATCH_ITEMS_MAX} items`),
    atomic: z
      .boolean()
      .nullish()
      .openapi({ description: 'Whether to post all transfers or none; false by default.' }),
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
        code: z.enum(TRANSFER_REFUSALS).optional(),
        detail: z.string().optional(),
        limit: ExceededLimitSchema.optional(),
      }),
    ),
  })
  .openapi('TransferBatchResult', { description: 'One result per transfer, in the order of the request.' });
