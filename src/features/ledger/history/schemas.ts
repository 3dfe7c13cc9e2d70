import { z } from '@hono/zod-openapi';
import { cursorSchema, toHex } from '../../../http/cursor.ts';
import {
  AmountSchema,
  LedgerSchema,
  NextCursorSchema,
  pageQuerySchema,
  TimeSchema,
  TimestampSchema,
  UuidSchema,
} from '../../../http/schemas.ts';
import { FIRST_MS, TIME_ORDERS } from './domain.ts';
import type { StatementCursor } from './service.ts';

const VERSION_DIGITS = 12;
const MS_DIGITS = 13;

/** A moment of a query, in milliseconds since 1970. */
const momentSchema = (name: string, description: string) =>
  TimeSchema.transform((time) => time.getTime())
    .optional()
    .openapi({ description, param: { name, in: 'query', schema: { type: 'string', format: 'date-time' } } });

const BySchema = z.enum(TIME_ORDERS).default('recorded').openapi({
  description: '`recorded`: when Atlas posted the transfers. `effective`: when they took effect.',
});

export const EntrySchema = z
  .strictObject({
    version: z.int().min(1).openapi({
      description:
        'Number of the entry, from 1, in the order in which the entries of the account were recorded.',
      example: 2,
    }),
    direction: z.enum(['debit', 'credit']),
    amount: AmountSchema,
    signedAmount: z.int().openapi({ description: '`amount`, below zero for a debit.', example: -950 }),
    balance: z
      .int()
      .openapi({ description: 'Credits minus debits after this entry, in the order of the list.' }),
    transferId: UuidSchema,
    counterpartyAccountId: UuidSchema.openapi({ description: 'The other account of the transfer.' }),
    reference: z.string().nullable(),
    createdAt: TimestampSchema.openapi({ description: 'When it was recorded.' }),
    effectiveAt: TimestampSchema.openapi({ description: 'When it took effect.' }),
  })
  .openapi('Entry');

export const EntryPageSchema = z
  .strictObject({ entries: z.array(EntrySchema), nextCursor: NextCursorSchema })
  .openapi('EntryPage');

const EntryCursorSchema = cursorSchema(/^e[0-9a-f]{12}$/, (text) => Number.parseInt(text.slice(1), 16));

export const toEntryCursor = (version: number): string => `e${toHex(version, VERSION_DIGITS)}`;

export const EntryQuerySchema = pageQuerySchema(EntryCursorSchema).extend({
  sort: z.enum(['-version', 'version']).default('-version').openapi({
    description: '`-version`: newest first, `version`: oldest first. Send the same with each cursor.',
  }),
  from: momentSchema('from', 'Only entries recorded from this moment on.'),
  to: momentSchema('to', 'Only entries recorded before this moment.'),
});

export const BalanceSchema = z
  .strictObject({
    accountId: UuidSchema,
    ledger: LedgerSchema,
    by: z.enum(TIME_ORDERS),
    at: TimestampSchema.openapi({ description: 'The moment. Its millisecond is included.' }),
    balance: z
      .int()
      .openapi({ description: 'Credits minus debits, in minor units; 0 before the first entry.' }),
    version: z.int().min(0).openapi({
      description:
        'How many entries of the account had been recorded at this moment. By time of effect: how many are known now.',
    }),
  })
  .openapi('PastBalance');

export const BalanceQuerySchema = z
  .strictObject({
    at: momentSchema('at', 'What had been recorded at this moment; now by default.'),
    effectiveAt: momentSchema(
      'effectiveAt',
      'Instead: what had taken effect at this moment, as far as it is known now.',
    ),
  })
  .refine(({ at, effectiveAt }) => at === undefined || effectiveAt === undefined, {
    error: 'must not be sent with `at`',
    path: ['effectiveAt'],
  });

export const STATEMENT_FORMATS = ['json', 'csv', 'pdf'] as const;

const StatementCursorSchema = cursorSchema(/^s[0-9a-f]{49}$/, (text): StatementCursor => {
  const [lastVersion, version, ms, effectiveVersion] = [
    [1, 13],
    [13, 25],
    [25, 38],
    [38, 50],
  ].map(([from, to]) => Number.parseInt(text.slice(from, to), 16));
  return {
    lastVersion: lastVersion!,
    version: version!,
    effectiveMs: ms! + FIRST_MS,
    effectiveVersion: effectiveVersion!,
  };
});

export function toStatementCursor(cursor: StatementCursor): string {
  const { lastVersion, version, effectiveMs, effectiveVersion } = cursor;
  const versions = [lastVersion, version].map((number) => toHex(number, VERSION_DIGITS)).join('');
  return `s${versions}${toHex(effectiveMs - FIRST_MS, MS_DIGITS)}${toHex(effectiveVersion, VERSION_DIGITS)}`;
}

export const StatementQuerySchema = pageQuerySchema(StatementCursorSchema)
  .extend({
    from: momentSchema('from', 'Start of the period, included; that of the account by default.'),
    to: momentSchema('to', 'End of the period, not included; now by default.'),
    by: BySchema,
    format: z.enum(STATEMENT_FORMATS).optional().openapi({
      description:
        'What the Accept header asks for by default, and else `json`. `csv` and `pdf` have all entries.',
    }),
  })
  .refine(({ from, to }) => from === undefined || to === undefined || from <= to, {
    error: 'must not be before `from`',
    path: ['to'],
  });

export const StatementHeadersSchema = z.object({
  Accept: z.string().max(1000).optional().openapi({
    description: '`text/csv` or `application/pdf`, instead of `format`.',
  }),
});

export const StatementSchema = z
  .strictObject({
    accountId: UuidSchema,
    ledger: LedgerSchema,
    name: z.string().nullable(),
    by: z.enum(TIME_ORDERS),
    from: TimestampSchema.nullable(),
    to: TimestampSchema,
    openingBalance: z.int().openapi({ description: 'At the start of the period.' }),
    closingBalance: z.int().openapi({ description: 'At the end of the period.' }),
    lastVersion: z.int().min(0).openapi({
      description: 'How many entries of the account the statement knows: all pages know the same.',
    }),
    entries: z.array(EntrySchema),
    nextCursor: NextCursorSchema,
  })
  .openapi('Statement');
