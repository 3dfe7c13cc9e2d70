import { type Comparison, type Fields, type Filter, fieldOf, type Value } from '../filter.ts';

/** What an index finds: the items with a value in a field. */
export interface Term {
  readonly field: string;
  readonly value: string;
}

/**
 * Where all items that match a filter are found, among others: under all of these terms together, or in any one of
 * several places. Null: only among all items.
 */
export type Source =
  | { readonly terms: readonly Term[] }
  | { readonly all: readonly Source[] }
  | { readonly any: readonly Source[] }
  | null;

/** Returns where to find what matches a filter. */
export function sourceOf(filter: Filter, fields: Fields): Source {
  if ('and' in filter) return either(filter.and.map((one) => sourceOf(one, fields)));
  if ('or' in filter) return together(filter.or.map((one) => sourceOf(one, fields)));
  if ('not' in filter) return sourceOfNegated(filter.not, fields);
  const values = valuesOf(filter.is);
  const field = fieldOf(fields, filter.field);
  if (values === null || !field || field.terms.length === 0) return null;
  return {
    terms: field.terms.flatMap((name) => values.map((value) => ({ field: name, value: String(value) }))),
  };
}

/** A comparison that must not hold finds nothing in an index. */
function sourceOfNegated(filter: Filter, fields: Fields): Source {
  if ('and' in filter) return together(filter.and.map((one) => sourceOfNegated(one, fields)));
  if ('or' in filter) return either(filter.or.map((one) => sourceOfNegated(one, fields)));
  return 'not' in filter ? sourceOf(filter.not, fields) : null;
}

function either(sources: readonly Source[]): Source {
  const any = sources.filter((source) => source !== null);
  return any.length === 0 ? null : { any };
}

function together(sources: readonly Source[]): Source {
  return sources.includes(null) ? null : { all: sources };
}

function valuesOf({ eq, in: list }: Comparison): readonly Value[] | null {
  if (eq !== undefined) return eq === null ? null : [eq];
  return list ?? null;
}

/** Returns every term of a source, once. */
export function termsOf(source: Source): Term[] {
  const found = new Map<string, Term>();
  collect(source, found);
  return [...found.values()];
}

const keyOf = ({ field, value }: Term) => JSON.stringify([field, value]);

function collect(source: Source, found: Map<string, Term>): void {
  if (source === null) return;
  if ('terms' in source) for (const term of source.terms) found.set(keyOf(term), term);
  else for (const one of 'all' in source ? source.all : source.any) collect(one, found);
}

/** Returns the terms to read: of several places, those with the fewest items. Null: all items. */
export function cheapest(source: Source, itemsOf: (term: Term) => number): Term[] | null {
  if (source === null) return null;
  if ('terms' in source) return termsOf(source);
  if ('all' in source) return termsOf({ terms: source.all.flatMap((one) => cheapest(one, itemsOf) ?? []) });
  const places = source.any.map((one) => cheapest(one, itemsOf) ?? []);
  const costs = places.map((terms) => terms.reduce((sum, term) => sum + itemsOf(term), 0));
  return places[costs.indexOf(Math.min(...costs))]!;
}

/** The range of times that every match is in, in milliseconds since 1970; `beforeMs` is not in it. */
export interface TimeRange {
  readonly fromMs: number | null;
  readonly beforeMs: number | null;
}

/** Returns the range of creation of what matches. */
export function timesOf(filter: Filter): TimeRange {
  if ('and' in filter) return filter.and.map(timesOf).reduce(intersect);
  return 'field' in filter && filter.field === 'createdAt'
    ? rangeOf(filter.is)
    : { fromMs: null, beforeMs: null };
}

/** Times are returned in milliseconds and stored in microseconds: all in a millisecond are equal to it. */
export function rangeOf({ gte, gt, lte, lt }: Comparison): TimeRange {
  const froms = [gte, gt !== undefined ? Number(gt) + 1 : undefined]
    .filter((ms) => ms !== undefined)
    .map(Number);
  const befores = [lt, lte !== undefined ? Number(lte) + 1 : undefined]
    .filter((ms) => ms !== undefined)
    .map(Number);
  return {
    fromMs: froms.length === 0 ? null : Math.max(...froms),
    beforeMs: befores.length === 0 ? null : Math.min(...befores),
  };
}

function intersect(a: TimeRange, b: TimeRange): TimeRange {
  const of = (pick: (...ms: number[]) => number, ...given: (number | null)[]) => {
    const known = given.filter((ms) => ms !== null);
    return known.length === 0 ? null : pick(...known);
  };
  return {
    fromMs: of(Math.max, a.fromMs, b.fromMs),
    beforeMs: of(Math.min, a.beforeMs, b.beforeMs),
  };
}
