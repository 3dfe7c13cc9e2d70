import { z } from '@hono/zod-openapi';
import { TimestampSchema } from '../../http/schemas.ts';
import { ACCOUNT_FIELDS, type Fields, type Filter, METADATA, type Order, TRANSFER_FIELDS } from './filter.ts';
import { FILTER_DEPTH_MAX, PREDICATES_MAX, readFilter, VALUES_MAX } from './read-filter.ts';
import { TransferSchema } from './transfer-schema.ts';

export const SEARCH_BODY_BYTES = 65_536;
export const SEARCH_BOUNDS =
  'Each page examines a bounded number of items, so it can be empty and have a next one. What to look for is in the body, as it may be about people, and URLs are logged.';

export const SORTS = ['-createdAt', 'createdAt'] as const;
export const orderOf = (sort: (typeof SORTS)[number]): Order =>
  sort === 'createdAt' ? 'oldest first' : 'newest first';

export const sortSchema = (by: (typeof SORTS)[number]) =>
  z
    .enum(SORTS)
    .default(by)
    .openapi({
      description: `Order by time of creation: \`createdAt\` is oldest first, \`-createdAt\` newest first. \`${by}\` by default.`,
      param: { name: 'sort', in: 'query', schema: { type: 'string', enum: [...SORTS], default: by } },
    });

/**
 * Creates the schema of a filter. It is read by hand: a schema that refers to itself would descend as deep as what it
 * is given.
 */
function filterSchema(name: string, fields: Fields) {
  // No reference to itself: pages that show the document would unfold it without end.
  const ref = { type: 'object', description: `Another ${name}.` };
  const list = { type: 'array', minItems: 1, maxItems: PREDICATES_MAX, items: ref };
  const value = { type: ['string', 'integer'] };
  const metadata = { type: 'object', additionalProperties: { type: 'string' }, minProperties: 1 };
  return z
    .unknown()
    .transform((given, context): Filter => {
      const filter = readFilter(given, fields, (path, message) =>
        // Continued, so that a union with null reports this one instead of that no option fits.
        context.addIssue({ code: 'custom', path: [...path], message, continue: true }),
      );
      return filter ?? z.NEVER;
    })
    .openapi(name, {
      type: 'object',
      description: `Exactly one of these: \`and\`, \`or\`, or \`not\` with other filters; \`field\` with what it is compared to; or \`contains\`. At most ${FILTER_DEPTH_MAX} levels, ${PREDICATES_MAX} comparisons, and ${VALUES_MAX} values in lists.`,
      // One flat object, because generators of clients cannot read a union that refers to itself.
      minProperties: 1,
      additionalProperties: false,
      properties: {
        and: list,
        or: list,
        not: ref,
        field: { type: 'string', description: `One of ${Object.keys(fields).join(', ')}, ${METADATA}KEY.` },
        eq: { type: ['string', 'integer', 'null'] },
        in: { type: 'array', minItems: 1, maxItems: VALUES_MAX, items: value },
        gte: value,
        gt: value,
        lte: value,
        lt: value,
        startsWith: { type: 'string' },
        contains: {
          type: 'object',
          required: ['metadata'],
          additionalProperties: false,
          properties: { metadata },
        },
      },
    } as object);
}

const searchSchema = (name: string, fields: Fields, by: (typeof SORTS)[number]) =>
  z
    .strictObject({
      // Not `nullish`, which the document would leave out.
      filter: z.union([filterSchema(`${name}Filter`, fields), z.null()]).optional(),
      sort: z
        .enum(SORTS)
        .nullish()
        .openapi({ description: `\`${by}\` by default.` })
        .transform((sort) => sort ?? by),
    })
    .openapi(`${name}Search`);

export const TransferSearchSchema = searchSchema('Transfer', TRANSFER_FIELDS, '-createdAt');
export const AccountSearchSchema = searchSchema('Account', ACCOUNT_FIELDS, 'createdAt');

export const FoundTransfersSchema = z
  .strictObject({
    transfers: z.array(TransferSchema),
    nextCursor: z.string().nullable().openapi({
      description: 'Cursor of the next page; null only at the end. A page can be empty and have a next one.',
    }),
    examined: z.int().min(0).openapi({ description: 'How many transfers were compared with the filter.' }),
    asOf: TimestampSchema.openapi({
      description:
        'All transfers that were posted before this time were searched. Later ones may be missing.',
    }),
  })
  .openapi('FoundTransfers');
