import { z } from '@hono/zod-openapi';
import {
  AmountSchema,
  LedgerSchema,
  MetadataSchema,
  NextCursorSchema,
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

/** Returns whether a cached value is a valid transfer with this ID. */
export function isTransfer(value: unknown, id: string): value is Transfer {
  const read = TransferSchema.safeParse(value);
  return read.success && read.data.id === id;
}

export const NewTransferSchema = z
  .strictObject({
    id: UuidSchema.nullish().openapi({
      description: 'ID of the transfer, of any version but 8; derived from the Idempotency-Key by default.',
    }),
    debitAccountId: UuidSchema.openapi({ description: 'Account to debit.' }),
    creditAccountId: UuidSchema.openapi({ description: 'Account to credit.' }),
    amount: AmountSchema,
    reference: textSchema(REFERENCE_LENGTH_MAX).nullish(),
    metadata: MetadataSchema.nullish(),
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
        code: z.enum(Object.keys(REFUSAL_DETAILS) as [string, ...string[]]).optional(),
        detail: z.string().optional(),
      }),
    ),
  })
  .openapi('TransferBatchResult', { description: 'One result per transfer, in the order of the request.' });

export const TransferPageSchema = z
  .strictObject({ transfers: z.array(TransferSchema), nextCursor: NextCursorSchema })
  .openapi('TransferPage');
