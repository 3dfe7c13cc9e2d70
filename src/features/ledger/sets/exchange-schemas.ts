import { z } from '@hono/zod-openapi';
import {
  AmountSchema,
  LedgerSchema,
  NextCursorSchema,
  TimestampSchema,
  UuidSchema,
} from '../../../http/schemas.ts';
import { FIXED_SIDES, isAboveZero, RATE, ROUNDINGS } from '../exchange.ts';

const RATE_FAULT = {
  error:
    'must be a decimal number above 0 such as 1.08345, with up to 9 digits before the point and 12 after it',
  abort: true,
};

export const RateSchema = z.string().regex(RATE, RATE_FAULT).refine(isAboveZero, RATE_FAULT).openapi({
  example: '1.08345',
  description: 'Minor units of the target ledger for one minor unit of the source ledger.',
});

export const RoundingSchema = z
  .enum(ROUNDINGS)
  .openapi({ description: 'How the amount that is not fixed is rounded to minor units.' });

export const ExchangeSchema = z
  .strictObject({
    id: UuidSchema,
    sourceTransferId: UuidSchema.openapi({ description: 'Pays the source to its liquidity account.' }),
    targetTransferId: UuidSchema.openapi({ description: 'Pays the target from its liquidity account.' }),
    debitAccountId: UuidSchema,
    sourceLiquidityAccountId: UuidSchema,
    targetLiquidityAccountId: UuidSchema,
    creditAccountId: UuidSchema,
    sourceLedger: LedgerSchema,
    targetLedger: LedgerSchema,
    sourceAmount: AmountSchema,
    targetAmount: AmountSchema,
    rate: RateSchema,
    rounding: RoundingSchema,
    fixedSide: z.enum(FIXED_SIDES).openapi({
      description: 'The amount that the other one follows from.',
    }),
    remainder: z.string().openapi({
      example: '0.45',
      description:
        'What rounding left: `sourceAmount` × `rate` − `targetAmount`, exactly, in minor units of the target ledger.',
    }),
    reference: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    createdAt: TimestampSchema,
  })
  .openapi('Exchange');

export const ExchangePageSchema = z
  .strictObject({ exchanges: z.array(ExchangeSchema), nextCursor: NextCursorSchema })
  .openapi('ExchangePage');
