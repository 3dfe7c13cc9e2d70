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
import { ACCOUNT_KINDS } from './domain.ts';

const NAME_LENGTH_MAX = 200;
const SumSchema = z.int().min(0).max(AMOUNT_MINOR_MAX);

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
    debitsPosted: SumSchema.openapi({ description: 'Total of all debits, in minor units.' }),
    creditsPosted: SumSchema.openapi({ description: 'Total of all credits, in minor units.' }),
    balance: z.int().openapi({ description: 'creditsPosted − debitsPosted.' }),
    version: z.int().min(0).openapi({ description: 'Number of transfers posted to the account.' }),
    createdAt: TimestampSchema,
  })
  .openapi('Account');

export const NewAccountSchema = z
  .strictObject({
    id: UuidSchema.nullish(),
    ledger: LedgerSchema,
    name: textSchema(NAME_LENGTH_MAX).nullish(),
    kind: z.enum(ACCOUNT_KINDS).nullish(),
    allowNegative: z
      .boolean()
      .nullish()
      .openapi({ description: 'Whether the balance may fall below zero; false by default.' }),
    metadata: MetadataSchema.nullish(),
  })
  .openapi('NewAccount');

export const AccountPageSchema = z
  .strictObject({ accounts: z.array(AccountSchema), nextCursor: NextCursorSchema })
  .openapi('AccountPage');
