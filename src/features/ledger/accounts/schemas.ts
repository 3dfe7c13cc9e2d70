import { z } from '@hono/zod-openapi';
import {
  LedgerSchema,
  MetadataSchema,
  NextCursorSchema,
  TimestampSchema,
  textSchema,
  UuidSchema,
} from '../../../http/schemas.ts';
import { AMOUNT_MINOR_MAX } from '../../../utils/money.ts';
import {
  ACCEPTED_LENGTH_MAX,
  ACCEPTED_MAX,
  ACCEPTS_UP_TO_DEFAULT,
  ACCOUNT_KINDS,
  ANYONE,
} from '../account.ts';
import {
  AccountNameSchema,
  BALANCE_MAX,
  BALANCE_MIN,
  CONTENT,
  LIMITS,
  LimitSchema,
} from '../account-schemas.ts';

// As in paths: organizations of earlier releases are named by text of any length.
const ORGANIZATION_LENGTH_MAX = 1000;
const IF_MATCH_LENGTH_MAX = 1000;
const ACCEPTS_FROM =
  'The organizations whose transfers the account accepts, besides those of its own: a list of IDs, of at most 20,000 characters in all, `["*"]` for all, or null for none.';
const ACCEPTS_UP_TO =
  'The largest transfer that the account accepts from another organization, in minor units.';
const PARENT_ID =
  'The account of yours, on the same ledger, of which this one is a part. Null for the root of a tree.';
const DEBITS_FROZEN = 'Whether nothing may be debited. What is reserved can still be released.';
const CREDITS_FROZEN = 'Whether nothing may be credited.';
const SumSchema = z.int().min(0).max(AMOUNT_MINOR_MAX);

const AcceptsFromSchema = z
  .array(textSchema(ORGANIZATION_LENGTH_MAX))
  .min(1, 'must not be empty; null accepts nobody')
  .max(ACCEPTED_MAX, `must have at most ${ACCEPTED_MAX} items`)
  .refine(
    (ids) => ids.join('').length <= ACCEPTED_LENGTH_MAX,
    `must have at most ${ACCEPTED_LENGTH_MAX} characters`,
  )
  // All includes everything else.
  .transform((ids) => (ids.includes(ANYONE) ? [ANYONE] : [...new Set(ids)]));

const AcceptsUpToSchema = z.int().min(1).max(AMOUNT_MINOR_MAX);
export const AccountSchema = z
  .strictObject({
    id: UuidSchema,
    owner: z
      .string()
      .openapi({ description: 'Owner of the key that opened the account. Its events go to this owner.' }),
    ledger: LedgerSchema,
    name: z.string().nullable(),
    kind: z.enum(ACCOUNT_KINDS).nullable(),
    allowNegative: z.boolean(),
    metadata: z.record(z.string(), z.string()),
    parentId: UuidSchema.nullable().openapi({ description: PARENT_ID }),
    balanceMin: LimitSchema.nullable().openapi({ description: BALANCE_MIN }),
    balanceMax: LimitSchema.nullable().openapi({ description: BALANCE_MAX }),
    debitsFrozen: z.boolean().openapi({ description: DEBITS_FROZEN }),
    creditsFrozen: z.boolean().openapi({ description: CREDITS_FROZEN }),
    acceptsFrom: z.array(z.string()).nullable().openapi({ description: ACCEPTS_FROM }),
    acceptsUpTo: AcceptsUpToSchema.openapi({ description: ACCEPTS_UP_TO }),
    debitsPosted: SumSchema.openapi({ description: 'Total of all debits, in minor units.' }),
    creditsPosted: SumSchema.openapi({ description: 'Total of all credits, in minor units.' }),
    debitsPending: SumSchema.openapi({ description: 'What holds reserve of its money.' }),
    creditsPending: SumSchema.openapi({ description: 'What holds reserve for it.' }),
    balance: z.int().openapi({ description: 'creditsPosted − debitsPosted.' }),
    available: z.int().openapi({ description: 'balance − debitsPending: what is not reserved.' }),
    version: z.int().min(0).openapi({ description: 'Number of transfers posted to the account.' }),
    createdAt: TimestampSchema,
    closedAt: TimestampSchema.nullable().openapi({ description: 'Null unless it is closed.' }),
  })
  .openapi('Account');

export const NewAccountSchema = z
  .strictObject({
    id: UuidSchema.nullish(),
    ledger: LedgerSchema,
    name: AccountNameSchema.nullish(),
    ...CONTENT,
    parentId: UuidSchema.nullish().openapi({ description: PARENT_ID }),
    ...LIMITS,
    acceptsFrom: AcceptsFromSchema.nullish().openapi({
      description: `${ACCEPTS_FROM} Null by default.`,
      example: ['*'],
    }),
    acceptsUpTo: AcceptsUpToSchema.nullish().openapi({
      description: `${ACCEPTS_UP_TO} ${ACCEPTS_UP_TO_DEFAULT} by default.`,
    }),
  })
  .openapi('NewAccount');

export const AccountChangeSchema = z
  .strictObject({
    name: AccountNameSchema.nullish(),
    metadata: MetadataSchema.nullish().openapi({ description: 'Replaces all metadata; null removes it.' }),
    parentId: UuidSchema.nullish().openapi({ description: PARENT_ID }),
    ...LIMITS,
    debitsFrozen: z
      .boolean()
      .nullish()
      .openapi({ description: `${DEBITS_FROZEN} Null for false.` }),
    creditsFrozen: z
      .boolean()
      .nullish()
      .openapi({ description: `${CREDITS_FROZEN} Null for false.` }),
    acceptsFrom: AcceptsFromSchema.nullish().openapi({ description: ACCEPTS_FROM, example: ['*'] }),
    acceptsUpTo: AcceptsUpToSchema.nullish().openapi({
      description: `${ACCEPTS_UP_TO} Null for the default, ${ACCEPTS_UP_TO_DEFAULT}.`,
    }),
  })
  .refine((change) => Object.values(change).some((value) => value !== undefined), {
    error: 'must have at least one member',
  })
  .openapi('AccountChange', { minProperties: 1 });
export type AccountChangeBody = z.infer<typeof AccountChangeSchema>;

export const AccountChangeHeadersSchema = z.object({
  'If-Match': z.string().max(IF_MATCH_LENGTH_MAX).optional().openapi({
    description: 'The ETag you read, or `*` for any. Without it the response is 428.',
    example: '*',
  }),
});

export const AccountClosingHeadersSchema = z.object({
  'If-Match': z.string().max(IF_MATCH_LENGTH_MAX).optional().openapi({
    description: 'The ETag you read, to do it only if the account has not changed since.',
  }),
});

export const ParentQuerySchema = UuidSchema.optional().openapi({
  // An optional parameter has no example: forms would send it.
  example: undefined,
  description: 'Only accounts whose parent this is.',
});

export const AccountPageSchema = z
  .strictObject({ accounts: z.array(AccountSchema), nextCursor: NextCursorSchema })
  .openapi('AccountPage');
