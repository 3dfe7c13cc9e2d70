import { z } from '@hono/zod-openapi';
import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import { type Comparison, type Fields, type Filter, METADATA } from './filter.ts';
import { type Report, readFilter, TEXT_LENGTH_MAX } from './read-filter.ts';

/** Filters of a list: query parameters such as `reference=…`, `amount[gte]=…` and `metadata[KEY]=…`. */
export type QueryFilters = Readonly<Record<string, unknown>>;

const RANGE = ['gte', 'gt', 'lte', 'lt'] as const;
const NAME = /^(?<field>\w+)(?:\[(?<inside>[\s\S]+)\])?$/;
const WHOLE = /^-?\d{1,16}$/;
// The others are compared as a whole. A range of them is what a search is for.
const HAS_RANGE = ['number', 'time'];

/** What OpenAPI says of the values. They are read by {@link readFilter}. */
const SCHEMAS = {
  text: { type: 'string', maxLength: TEXT_LENGTH_MAX },
  number: { type: 'integer', minimum: -AMOUNT_MINOR_MAX, maximum: AMOUNT_MINOR_MAX },
  time: { type: 'string', format: 'date-time' },
  id: { type: 'string', format: 'uuid' },
} as const;

/** Returns the names of the parameters for fields, for OpenAPI and for errors. */
export function filterNames(fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, { type }]) => [
    ...(type === 'time' ? [] : [name]),
    ...(HAS_RANGE.includes(type) ? RANGE.map((operator) => `${name}[${operator}]`) : []),
  ]);
}

/** Returns the schemas of the parameters. All others must be `metadata[KEY]`: see {@link readQueryFilters}. */
export function filterParameters(
  fields: Fields,
): Readonly<Record<`${string}[${string}]` | 'metadata', z.ZodType<string | undefined>>> {
  const schemas = Object.fromEntries(
    filterNames(fields).map((name) => {
      const schema = SCHEMAS[fields[name.replace(/\[.*/, '')]!.type];
      return [
        name,
        z
          .string()
          .optional()
          .openapi({ param: { name, in: 'query', schema } }),
      ];
    }),
  );
  const metadata = {
    name: 'metadata',
    in: 'query' as const,
    style: 'deepObject' as const,
    explode: true,
    schema: { type: 'object' as const, additionalProperties: { type: 'string' as const } },
  };
  const described = z.string().optional().openapi({
    description: 'Only what has these values: `metadata[KEY]=VALUE`.',
    param: metadata,
  });
  return { ...schemas, metadata: described };
}

/**
 * Reads the filters of a list, all of which must hold, from its parameters without those of the list itself. Returns
 * null if there are none.
 */
export function readQueryFilters(given: QueryFilters, fields: Fields, report: Report): Filter | null {
  const comparisons = new Map<string, Record<string, unknown>>();
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== 'string') {
      report([name], 'is repeated: send it once');
      return null;
    }
    const { field = '', inside } = NAME.exec(name)?.groups ?? {};
    const isMetadata = field === 'metadata' && inside !== undefined;
    if (!isMetadata && !filterNames(fields).includes(name)) {
      report([name], `is unknown; filter by ${[...filterNames(fields), 'metadata[KEY]'].join(', ')}`);
      return null;
    }
    const key = isMetadata ? `${METADATA}${inside}` : field;
    const operator = isMetadata || inside === undefined ? 'eq' : inside;
    const isNumber = !isMetadata && fields[field]!.type === 'number';
    const read = readFilter(
      { field: key, [operator]: isNumber && WHOLE.test(value) ? Number(value) : value },
      fields,
      (_, message) => report([name], message),
    );
    if (read === null) return null;
    comparisons.set(key, {
      ...comparisons.get(key),
      [operator]: (read as { is: Comparison }).is[operator as keyof Comparison],
    });
  }
  if (comparisons.size === 0) return null;
  return { and: [...comparisons].map(([field, is]) => ({ field, is })) };
}

/** Creates the schema of the query of a list with filters, from that of a list without. */
export function filteredQuerySchema<S extends z.ZodRawShape>(page: z.ZodObject<S>, fields: Fields) {
  return page
    .extend(filterParameters(fields))
    .loose()
    .superRefine((query, context) => {
      readQueryFilters(filtersIn(query), fields, (path, message) =>
        context.addIssue({ code: 'custom', path: [...path], message }),
      );
    });
}

/** Returns the filter of a query that {@link filteredQuerySchema} has accepted. */
export function filterOf(query: Readonly<Record<string, unknown>>, fields: Fields): Filter | null {
  return readQueryFilters(filtersIn(query), fields, () => {});
}

// What lists have besides filters.
const OTHERS = ['limit', 'cursor', 'sort', 'parentId'];

function filtersIn(query: Readonly<Record<string, unknown>>): QueryFilters {
  return Object.fromEntries(Object.entries(query).filter(([name]) => !OTHERS.includes(name)));
}
