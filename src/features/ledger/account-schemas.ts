import { z } from '@hono/zod-openapi';
import { MetadataSchema, textSchema } from '../../http/schemas.ts';
import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { ACCOUNT_KINDS } from './account.ts';

const NAME_LENGTH_MAX = 200;
export const BALANCE_MIN =
  'The least that may be available, in minor units; negative for an overdraft. Null for 0, or for nothing if `allowNegative`.';
export const BALANCE_MAX = 'The most that the balance may be, with what is pending. Null for no limit.';

/** A limit of a balance. */
export const LimitSchema = z.int().min(-AMOUNT_MINOR_MAX).max(AMOUNT_MINOR_MAX);

/** Limits of a balance, for requests. */
export const LIMITS = {
  balanceMin: LimitSchema.nullish().openapi({ description: BALANCE_MIN }),
  balanceMax: LimitSchema.nullish().openapi({ description: BALANCE_MAX }),
};
/** Content of an account that is to be opened. */
export const CONTENT = {
  kind: z.enum(ACCOUNT_KINDS).nullish(),
  allowNegative: z
    .boolean()
    .nullish()
    .openapi({ description: 'Whether the balance may fall below zero; false by default.' }),
  metadata: MetadataSchema.nullish(),
};
export const AccountNameSchema = textSchema(NAME_LENGTH_MAX);
