import { z } from '@hono/zod-openapi';
import {
  AmountSchema,
  LedgerSchema,
  MetadataSchema,
  NextCursorSchema,
  TimeSchema,
  TimestampSchema,
  textSchema,
  UuidSchema,
} from '../../http/schemas.ts';
import type { Transfer } from './movement.ts';

const REFERENCE_LENGTH_MAX = 200;

export const ReferenceSchema = textSchema(REFERENCE_LENGTH_MAX);

export const TransferSchema = z
  .strictObject({
    id: UuidSchema,
    debitAccountId: UuidSchema,
    creditAccountId: UuidSchema,
    ledger: LedgerSchema,
    amount: AmountSchema,
    reference: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    holdId: UuidSchema.nullable().openapi({ description: 'The hold that it posts.' }),
    reversesId: UuidSchema.nullable().openapi({ description: 'The transfer that it reverses.' }),
    createdAt: TimestampSchema.openapi({ description: 'When it was recorded.' }),
    effectiveAt: TimestampSchema.openapi({
      description: 'When it took effect: `createdAt`, unless it was back-dated.',
    }),
  })
  .openapi('Transfer');

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

/** Returns whether a cached value is a valid transfer with this ID. */
export function isTransfer(value: unknown, id: string): value is Transfer {
  const read = TransferSchema.safeParse(value);
  return read.success && read.data.id === id;
}

export const TransferPageSchema = z
  .strictObject({ transfers: z.array(TransferSchema), nextCursor: NextCursorSchema })
  .openapi('TransferPage');
