import { z } from '@hono/zod-openapi';
import {
  AmountSchema,
  LedgerSchema,
  MetadataSchema,
  NextCursorSchema,
  TimestampSchema,
  UuidSchema,
} from '../../http/schemas.ts';
import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { DEFAULT_EXPIRY_SECONDS, EXPIRY_SECONDS_MAX, HOLD_STATES } from './hold.ts';
import { ReferenceSchema } from './transfer-schema.ts';

const SumSchema = z.int().min(0).max(AMOUNT_MINOR_MAX);

export const HoldStateSchema = z.enum(HOLD_STATES);

export const HoldSchema = z
  .strictObject({
    id: UuidSchema,
    debitAccountId: UuidSchema,
    creditAccountId: UuidSchema,
    ledger: LedgerSchema,
    amount: AmountSchema,
    state: HoldStateSchema.openapi({
      description: '`pending` while it reserves money. The others are final.',
    }),
    posted: SumSchema.openapi({ description: 'What its transfers have moved, in minor units.' }),
    remaining: SumSchema.openapi({ description: 'What it still reserves: 0 once it is settled.' }),
    reference: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    expiresAt: TimestampSchema,
    settledAt: TimestampSchema.nullable(),
    createdAt: TimestampSchema,
  })
  .openapi('Hold');

export const NewHoldSchema = z
  .strictObject({
    debitAccountId: UuidSchema.openapi({ description: 'Account whose money is reserved.' }),
    creditAccountId: UuidSchema.openapi({ description: 'Account for which it is reserved.' }),
    amount: AmountSchema,
    expiresInSeconds: z
      .int()
      .min(1)
      .max(EXPIRY_SECONDS_MAX)
      .nullish()
      .openapi({
        description: `Seconds until the hold expires, by the clock of the database; ${DEFAULT_EXPIRY_SECONDS} (a week) by default.`,
      }),
    reference: ReferenceSchema.nullish(),
    metadata: MetadataSchema.nullish(),
  })
  .openapi('NewHold');

export const HoldPostSchema = z
  .strictObject({
    amount: AmountSchema.nullish().openapi({ description: 'What to post; all that remains by default.' }),
    keepRest: z.boolean().nullish().openapi({
      description: 'Whether what is not posted stays reserved; false by default: it is released.',
    }),
    reference: ReferenceSchema.nullish().openapi({ description: 'Reference of the transfer.' }),
    metadata: MetadataSchema.nullish().openapi({ description: 'Metadata of the transfer.' }),
  })
  .openapi('HoldPost');

export const HoldPageSchema = z
  .strictObject({ holds: z.array(HoldSchema), nextCursor: NextCursorSchema })
  .openapi('HoldPage');
