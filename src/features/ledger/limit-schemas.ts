import { z } from '@hono/zod-openapi';
import {
  LedgerSchema,
  NextCursorSchema,
  nameSchema,
  TimestampSchema,
  UuidSchema,
} from '../../http/schemas.ts';
import { DEMO } from '../../utils/demo-data.ts';
import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { LIMIT_ACCOUNTS_MAX, LIMIT_COUNTS, LIMIT_NAME_LENGTH_MAX } from './limit-content.ts';

const IF_MATCH_LENGTH_MAX = 1000;
const MaximumSchema = z.int().min(0).max(AMOUNT_MINOR_MAX).nullable();
const UsedSchema = z.int().min(0).max(AMOUNT_MINOR_MAX);
const maxima = {
  transferAmount: MaximumSchema.openapi({ description: 'Of each transfer, in minor units.' }),
  hourAmount: MaximumSchema.openapi({ description: 'Of all transfers of an hour, in minor units.' }),
  hourCount: MaximumSchema.openapi({ description: 'How many transfers an hour may have.' }),
  dayAmount: MaximumSchema.openapi({ description: 'Of all transfers of a day (UTC), in minor units.' }),
  dayCount: MaximumSchema.openapi({ description: 'How many transfers a day (UTC) may have.' }),
  totalAmount: MaximumSchema.openapi({ description: 'Of all transfers ever, in minor units.' }),
};
const COUNTS =
  'What counts: what the accounts pay, what they are paid, or both. Transfers within the group count once or not at all.';
const COUNTS_INTERNAL = 'Whether transfers between two accounts of the limit count.';

const NewMaximaSchema = z
  .strictObject(maxima)
  .partial()
  .refine((given) => Object.values(given).some((value) => typeof value === 'number'), {
    error: 'must have at least one maximum',
  })
  .openapi({ minProperties: 1, example: { dayAmount: 1_000_000, dayCount: 500 } });

const AccountIdsSchema = z
  .array(UuidSchema)
  .min(1, 'must not be empty')
  .max(LIMIT_ACCOUNTS_MAX, `must have at most ${LIMIT_ACCOUNTS_MAX} items`);

const WindowSchema = z.strictObject({
  startsAt: TimestampSchema,
  resetsAt: TimestampSchema,
  amount: UsedSchema,
  count: UsedSchema,
});

const members = {
  id: UuidSchema,
  name: z.string(),
  ledger: LedgerSchema,
  scope: z.enum(['organization', 'accounts']).openapi({
    description: 'All accounts of the organization on the ledger, or a group of them.',
  }),
  accountCount: z.int().min(0).openapi({ description: 'How many accounts the group has.' }),
  counts: z.enum(LIMIT_COUNTS).openapi({ description: COUNTS }),
  countsInternal: z.boolean().openapi({ description: COUNTS_INTERNAL }),
  setBy: z.enum(['organization', 'operator']).openapi({
    description: 'Who can change and delete it. Operators can do so with all.',
  }),
  maxima: z.strictObject(maxima).openapi({ description: 'Null for no maximum.' }),
  usage: z
    .strictObject({ hour: WindowSchema, day: WindowSchema, total: z.strictObject({ amount: UsedSchema }) })
    .openapi({
      description: 'What is used, pending holds included. Counted from the creation of the limit on.',
    }),
  createdAt: TimestampSchema,
};

export const LimitSchema = z
  .strictObject({
    ...members,
    accountIds: z.array(UuidSchema).nullable().openapi({
      description: 'The accounts of the group; null if the limit is one of all accounts.',
    }),
  })
  .openapi('Limit');

export const LimitPageSchema = z
  .strictObject({
    limits: z.array(z.strictObject(members).openapi('LimitSummary')),
    nextCursor: NextCursorSchema,
  })
  .openapi('LimitPage');

const NameSchema = nameSchema(LIMIT_NAME_LENGTH_MAX).openapi({ example: 'Daily payouts' });

export const NewLimitSchema = z
  .strictObject({
    name: NameSchema,
    ledger: LedgerSchema,
    accountIds: AccountIdsSchema.nullish().openapi({
      description: 'Accounts of your organization on the ledger; all of them by default.',
      example: [DEMO.alice],
    }),
    counts: z
      .enum(LIMIT_COUNTS)
      .nullish()
      .openapi({ description: `${COUNTS} \`debits\` by default.` }),
    countsInternal: z
      .boolean()
      .nullish()
      .openapi({
        description: `${COUNTS_INTERNAL} By default, not if it has \`accountIds\`.`,
      }),
    maxima: NewMaximaSchema,
  })
  .openapi('NewLimit');

export const LimitChangeSchema = z
  .strictObject({
    name: NameSchema.optional(),
    maxima: z.strictObject(maxima).partial().optional().openapi({
      description: 'Those that change. Null removes one.',
    }),
    accountIds: AccountIdsSchema.optional().openapi({ description: 'Replaces the group.' }),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    error: 'must have at least one member',
  })
  .openapi('LimitChange', { minProperties: 1 });

export const LimitChangeHeadersSchema = z.object({
  'If-Match': z.string().max(IF_MATCH_LENGTH_MAX).optional().openapi({
    description: 'The ETag you read, or `*` for any. Without it the response is 428.',
    example: '*',
  }),
});
