import { z } from '@hono/zod-openapi';
import { UuidSchema } from '../../../http/schemas.ts';
import { ExceededLimitSchema } from '../limit-schema.ts';
import { BATCH_ITEMS_MAX, TRANSFER_REFUSALS } from '../movement.ts';
import { NewTransferSchema, TransferSchema } from '../transfer-schema.ts';

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
