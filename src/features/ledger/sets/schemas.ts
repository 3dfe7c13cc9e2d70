import { z } from '@hono/zod-openapi';
import { AmountSchema, UuidSchema } from '../../../http/schemas.ts';
import { quote } from '../exchange.ts';
import { HoldPostSchema, HoldSchema, NewHoldSchema } from '../hold-schema.ts';
import { BATCH_ITEMS_MAX } from '../movement.ts';
import { ReversalSchema } from '../reversal-schema.ts';
import { NewTransferSchema, TransferSchema } from '../transfer-schema.ts';
import { ExchangeSchema, RateSchema, RoundingSchema } from './exchange-schemas.ts';
import { countOrders, findTargetFault, type NewMovement } from './set.ts';

const IndexSchema = z
  .int()
  .min(0)
  .max(BATCH_ITEMS_MAX - 1);
const holdTarget = {
  holdId: UuidSchema.nullish().openapi({ description: 'The hold.' }),
  holdFrom: IndexSchema.nullish().openapi({
    description: 'Instead of `holdId`: the index of an earlier movement of this set, which makes the hold.',
  }),
};
const transferTarget = {
  transferId: UuidSchema.nullish().openapi({ description: 'The transfer to reverse.' }),
  transferFrom: IndexSchema.nullish().openapi({
    description:
      'Instead of `transferId`: the index of an earlier movement of this set, which posts the transfer.',
  }),
};
const ofType = <T extends string>(type: T) => ({ type: z.literal(type) });

const NewExchangeSchema = z
  .strictObject({
    ...ofType('exchange'),
    debitAccountId: UuidSchema.openapi({ description: 'Account that pays the source.' }),
    sourceLiquidityAccountId: UuidSchema.openapi({
      description: 'Account of your organization that gets the source, on the ledger of the debit account.',
    }),
    targetLiquidityAccountId: UuidSchema.openapi({
      description: 'Account of your organization that pays the target, on the ledger of the credit account.',
    }),
    creditAccountId: UuidSchema.openapi({ description: 'Account that gets the target.' }),
    sourceAmount: AmountSchema.nullish().openapi({
      description: 'Minor units of the source ledger; computed from `targetAmount` if absent.',
    }),
    targetAmount: AmountSchema.nullish().openapi({
      description: 'Minor units of the target ledger; computed from `sourceAmount` if absent.',
    }),
    rate: RateSchema,
    rounding: RoundingSchema.nullish().openapi({
      description: 'How the amount that is computed is rounded to minor units; half_even by default.',
    }),
    reference: NewTransferSchema.shape.reference.openapi({ description: 'Reference of both transfers.' }),
    metadata: NewTransferSchema.shape.metadata.openapi({ description: 'Metadata of both transfers.' }),
  })
  .superRefine((exchange, context) => {
    if (context.issues.length > 0) return;
    const { debitAccountId, sourceLiquidityAccountId, targetLiquidityAccountId, creditAccountId } = exchange;
    const accounts = [debitAccountId, sourceLiquidityAccountId, targetLiquidityAccountId, creditAccountId];
    if (new Set(accounts).size < accounts.length)
      context.addIssue({ code: 'custom', message: 'must have four different accounts', path: [] });
    const found = quote(exchange);
    if ('detail' in found) context.addIssue({ code: 'custom', message: found.detail, path: [found.member] });
  })
  .openapi('NewExchange');

// Not by extending: that would become an `allOf` of schemas that each exclude the members of the other.
const MovementSchema = z
  .discriminatedUnion('type', [
    z
      .strictObject({ ...ofType('transfer'), ...NewTransferSchema.omit({ effectiveAt: true }).shape })
      .openapi('NewTransferMovement'),
    z.strictObject({ ...ofType('hold'), ...NewHoldSchema.shape }).openapi('NewHoldMovement'),
    z.strictObject({ ...ofType('post'), ...holdTarget, ...HoldPostSchema.shape }).openapi('NewPostMovement'),
    z.strictObject({ ...ofType('void'), ...holdTarget }).openapi('NewVoidMovement'),
    z
      .strictObject({ ...ofType('reverse'), ...transferTarget, ...ReversalSchema.shape })
      .openapi('NewReverseMovement'),
    NewExchangeSchema,
  ])
  .openapi('NewMovement');

export const NewSetSchema = z
  .strictObject({
    movements: z
      .array(MovementSchema)
      .min(1)
      .max(BATCH_ITEMS_MAX, `must have at most ${BATCH_ITEMS_MAX} items`),
  })
  .superRefine(({ movements }, context) => {
    if (context.issues.length > 0) return;
    const orders = movements.reduce((sum, movement) => sum + countOrders(movement), 0);
    if (orders > BATCH_ITEMS_MAX)
      context.addIssue({
        code: 'custom',
        message: `must have at most ${BATCH_ITEMS_MAX} movements, of which an exchange counts as two`,
        path: ['movements'],
      });
    for (const at of movements.keys()) {
      const fault = findTargetFault(movements as readonly NewMovement[], at);
      if (fault !== null)
        context.addIssue({ code: 'custom', message: fault.detail, path: ['movements', ...fault.path] });
    }
  })
  .openapi('NewSet');

const existed = z.boolean().openapi({
  description:
    'Whether it was done before: by a transfer with this ID and content, or by this request, whose key has expired.',
});

export const SetResultSchema = z
  .strictObject({
    results: z.array(
      z.discriminatedUnion('type', [
        z
          .strictObject({ type: z.enum(['transfer', 'post', 'reverse']), existed, transfer: TransferSchema })
          .openapi('TransferMovementResult'),
        z.strictObject({ ...ofType('hold'), existed, hold: HoldSchema }).openapi('HoldMovementResult'),
        z.strictObject({ ...ofType('void'), existed, holdId: UuidSchema }).openapi('VoidMovementResult'),
        z
          .strictObject({ ...ofType('exchange'), existed, exchange: ExchangeSchema })
          .openapi('ExchangeMovementResult'),
      ]),
    ),
  })
  .openapi('SetResult', { description: 'One result per movement, in the order of the request.' });
