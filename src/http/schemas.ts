import { z } from '@hono/zod-openapi';
import { AMOUNT_MINOR_MAX } from '../utils/money.ts';
import { isOneLine } from '../utils/one-line.ts';

// A UUID of any version, including future ones; stored and returned in lowercase.
const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: PostgreSQL cannot store NUL.
const NO_NUL = /^[^\u0000]*$/;

/** An ID: any UUID, converted to lowercase. */
export const UuidSchema = z
  .string()
  .regex(UUID, 'must be a UUID such as 0198c0de-0000-7000-8000-000000000001')
  .toLowerCase()
  .openapi({ format: 'uuid', example: '0198c0de-0000-7000-8000-000000000001' });

/** Creates the schema of non-empty text with a maximum length. */
export const textSchema = (lengthMax: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(lengthMax, `must have at most ${lengthMax} characters`)
    .regex(NO_NUL, 'must not contain NUL');

/** What {@link isOneLine} refuses in a name. */
export const ONE_LINE = 'must be one line of visible characters';

/** Creates the schema of a name that people must be able to see, and that looks like no other. */
export const nameSchema = (lengthMax: number) =>
  textSchema(lengthMax)
    .refine((text) => /[^\s\p{C}]/u.test(text), { error: 'must not be blank', abort: true })
    .refine(isOneLine, ONE_LINE);

/** An amount of money in minor units of the ledger's currency. */
export const AmountSchema = z
  .int({
    error: ({ input }) => (input === undefined ? 'is required' : 'must be a whole number of minor units'),
  })
  .min(1, 'must be at least 1')
  .max(AMOUNT_MINOR_MAX, `must be at most ${AMOUNT_MINOR_MAX} (2^53−1)`)
  .openapi({ example: 1250, description: 'Amount in minor units, such as cents.' });

export const LedgerSchema = z
  .string()
  .regex(/^[A-Z]{3}$/, 'must be a currency code of three uppercase letters, such as EUR')
  .openapi({ example: 'EUR', description: 'Currency of the ledger (ISO 4217).' });

const METADATA_ENTRIES_MAX = 50;
const METADATA_NAME_LENGTH_MAX = 40;

/** Up to 50 entries of short text that the caller sets. Stored unchanged. The ledger also limits their total size. */
export const MetadataSchema = z
  .record(
    z.string().min(1).max(METADATA_NAME_LENGTH_MAX).regex(NO_NUL, 'must not contain NUL'),
    z.string().max(500, 'must have at most 500 characters').regex(NO_NUL, 'must not contain NUL'),
  )
  .refine(
    (entries) => Object.keys(entries).length <= METADATA_ENTRIES_MAX,
    `must have at most ${METADATA_ENTRIES_MAX} entries`,
  )
  .openapi({
    description: 'At most 16 KiB in all, as compact JSON in UTF-8. Larger metadata is a 422.',
    maxProperties: METADATA_ENTRIES_MAX,
    propertyNames: { minLength: 1, maxLength: METADATA_NAME_LENGTH_MAX, pattern: NO_NUL.source },
    example: { order: '4711' },
  } as object);

export const TimestampSchema = z
  .string()
  .openapi({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' });

/** A time that a query names. Other years, which an offset can lead to, have no text that PostgreSQL reads. */
export const TimeSchema = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' })
  .transform((text) => new Date(text))
  .refine(
    (time) => time.getUTCFullYear() >= 1 && time.getUTCFullYear() <= 9999,
    'must be in a year from 1 to 9999',
  );

/** The `nextCursor` of a page. */
export const NextCursorSchema = z.string().nullable().openapi({
  description:
    'Cursor of the next page; null only at the end of the list. A page can hold fewer items than `limit`.',
});

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 200;

/** Creates the schema of the query parameters of a list, given the schema of its cursors. */
export const pageQuerySchema = <T extends z.ZodType>(cursor: T) =>
  z.strictObject({
    limit: z
      .string()
      .regex(/^[1-9]\d{0,2}$/, `must be a whole number from 1 to ${LIMIT_MAX}`)
      .transform(Number)
      .pipe(z.number().max(LIMIT_MAX, `must be a whole number from 1 to ${LIMIT_MAX}`))
      .default(LIMIT_DEFAULT)
      .openapi({
        description: 'Maximum items per page. A page of large items holds fewer: it ends at about 1 MiB.',
        param: {
          name: 'limit',
          in: 'query',
          schema: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
        },
      }),
    cursor: cursor.optional().openapi({
      description: 'Cursor of the page, from `nextCursor` or the Link header of the previous page.',
    }),
  });
