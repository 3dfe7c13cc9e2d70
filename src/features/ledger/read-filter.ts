import { AMOUNT_MINOR_MAX } from '../../utils/money.ts';
import {
  type Comparison,
  type Field,
  type Fields,
  type Filter,
  fieldOf,
  METADATA,
  type Value,
} from './filter.ts';

/** How deep a filter may nest, how many comparisons it may have, and how many values in all of its lists. */
export const FILTER_DEPTH_MAX = 5;
export const PREDICATES_MAX = 32;
export const VALUES_MAX = 100;

/** How long a text that is looked for may be. */
export const TEXT_LENGTH_MAX = 500;
const KEY_LENGTH_MAX = 40;
const OPERATORS = ['eq', 'in', 'gte', 'gt', 'lte', 'lt', 'startsWith'] as const;
type Operator = (typeof OPERATORS)[number];
const RANGES: readonly Operator[] = ['gte', 'gt', 'lte', 'lt'];
const OF_TYPE: Readonly<Record<Field['type'], readonly Operator[]>> = {
  text: OPERATORS,
  number: ['eq', 'in', ...RANGES],
  time: RANGES,
  id: ['eq', 'in'],
};
const SHAPES = ['and', 'or', 'not', 'field', 'contains'] as const;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

type Path = readonly (string | number)[];

/** Called with what is wrong, and where. */
export type Report = (path: Path, message: string) => void;

/**
 * Reads a filter from JSON. Returns null after it has reported what is wrong. It never descends deeper than a filter
 * may be, and stops at the first mistake of each part.
 */
export function readFilter(given: unknown, fields: Fields, report: Report): Filter | null {
  return new Reader(fields, report).read(given, [], 1);
}

class Reader {
  readonly #fields: Fields;
  readonly #report: Report;
  #predicates = 0;
  #values = 0;

  constructor(fields: Fields, report: Report) {
    this.#fields = fields;
    this.#report = report;
  }

  read(given: unknown, path: Path, depth: number): Filter | null {
    if (depth > FILTER_DEPTH_MAX)
      return this.#refuse(path, `must be at most ${FILTER_DEPTH_MAX} levels deep`);
    if (!isObject(given)) return this.#refuse(path, 'must be an object');
    const shapes = SHAPES.filter((name) => Object.hasOwn(given, name));
    const [shape] = shapes;
    if (shape === undefined || shapes.length > 1)
      return this.#refuse(path, `must have exactly one of ${SHAPES.join(', ')}`);
    if (shape !== 'field') {
      const other = Object.keys(given).find((name) => name !== shape);
      if (other !== undefined) return this.#refuse([...path, other], 'is unknown');
    }
    const inside = given[shape];
    const at = [...path, shape];
    if (shape === 'field') return this.#comparison(given, path);
    if (shape === 'contains') return this.#contains(inside, at);
    if (shape === 'not') {
      const not = this.read(inside, at, depth + 1);
      return not && { not };
    }
    const all = this.#all(inside, at, depth + 1);
    return all && (shape === 'and' ? { and: all } : { or: all });
  }

  #all(given: unknown, path: Path, depth: number): Filter[] | null {
    if (!Array.isArray(given)) return this.#refuse(path, 'must be an array');
    if (given.length === 0) return this.#refuse(path, 'must not be empty');
    // Before anything of a long list is read.
    if (given.length > PREDICATES_MAX) return this.#refuse(path, `must have at most ${PREDICATES_MAX} items`);
    const filters: Filter[] = [];
    for (const [i, one] of given.entries()) {
      const filter = this.read(one, [...path, i], depth);
      if (filter === null) return null;
      filters.push(filter);
    }
    return filters;
  }

  /** `{ contains: { metadata: { KEY: VALUE } } }`: all of these, each a comparison. */
  #contains(given: unknown, path: Path): Filter | null {
    if (!isObject(given)) return this.#refuse(path, 'must be an object');
    const other = Object.keys(given).find((name) => name !== 'metadata');
    if (other !== undefined)
      return this.#refuse([...path, other], 'is unknown; only metadata can contain values');
    const at = [...path, 'metadata'];
    const { metadata } = given;
    if (!isObject(metadata)) return this.#refuse(at, 'must be an object');
    const entries = Object.entries(metadata);
    if (entries.length === 0) return this.#refuse(at, 'must not be empty');
    const filters: Filter[] = [];
    for (const [key, value] of entries) {
      const filter = this.#comparison({ field: `${METADATA}${key}`, eq: value }, [...at, key], false);
      if (filter === null) return null;
      filters.push(filter);
    }
    return filters.length === 1 ? filters[0]! : { and: filters };
  }

  #comparison(given: Record<string, unknown>, path: Path, isNamed = true): Filter | null {
    const { field: name, ...rest } = given;
    const at = isNamed ? [...path, 'field'] : path;
    const operators = Object.keys(rest);
    if (++this.#predicates > PREDICATES_MAX)
      return this.#refuse(path, `is one too many: a filter has at most ${PREDICATES_MAX} comparisons`);
    const field = typeof name === 'string' ? fieldOf(this.#fields, name) : null;
    if (field === null || typeof name !== 'string')
      return this.#refuse(at, `must be one of ${this.#names()}`);
    if (name.includes('\0')) return this.#refuse(at, 'must not contain NUL');
    if (name.length > METADATA.length + KEY_LENGTH_MAX)
      return this.#refuse(at, `must name a key of at most ${KEY_LENGTH_MAX} characters`);
    const possible = OF_TYPE[field.type];
    if (operators.length === 0) return this.#refuse(path, `must have at least one of ${possible.join(', ')}`);
    const is: Record<string, unknown> = {};
    for (const operator of operators) {
      const on = isNamed ? [...path, operator] : path;
      if (!possible.includes(operator as Operator))
        return this.#refuse(on, `is not for ${name}; use ${possible.join(', ')}`);
      const value = this.#operand(operator as Operator, rest[operator], field, on);
      if (value === undefined) return null;
      is[operator] = value;
    }
    return { field: name, is: is as Comparison };
  }

  #operand(operator: Operator, given: unknown, field: Field, path: Path) {
    if (operator === 'eq' && given === null && field.isNullable) return null;
    if (operator !== 'in') return this.#value(given, field, path);
    if (!Array.isArray(given)) return this.#fail(path, 'must be an array');
    if (given.length === 0) return this.#fail(path, 'must not be empty');
    this.#values += given.length;
    if (this.#values > VALUES_MAX)
      return this.#fail(path, `is too long: the lists of a filter have at most ${VALUES_MAX} values in all`);
    const values: Value[] = [];
    for (const [i, one] of given.entries()) {
      const value = this.#value(one, field, [...path, i]);
      if (value === undefined) return undefined;
      values.push(value);
    }
    return values;
  }

  #value(given: unknown, { type }: Field, path: Path): Value | undefined {
    if (type === 'number') {
      if (Number.isInteger(given) && Math.abs(given as number) <= AMOUNT_MINOR_MAX) return given as number;
      return this.#fail(path, `must be a whole number of minor units, at most ${AMOUNT_MINOR_MAX}`);
    }
    if (typeof given !== 'string') return this.#fail(path, 'must be a string');
    if (type === 'time') {
      const ms = TIME.test(given) ? Date.parse(given) : Number.NaN;
      // Other years have no text that PostgreSQL reads.
      const year = new Date(ms).getUTCFullYear();
      return year >= 1 && year <= 9999 ? ms : this.#fail(path, 'must be a time such as 2026-01-31T12:00:00Z');
    }
    if (type === 'id') {
      const id = given.toLowerCase();
      return UUID.test(id) ? id : this.#fail(path, 'must be a UUID');
    }
    if (given.length > TEXT_LENGTH_MAX)
      return this.#fail(path, `must have at most ${TEXT_LENGTH_MAX} characters`);
    if (given.includes('\0')) return this.#fail(path, 'must not contain NUL');
    return given;
  }

  #names(): string {
    return `${Object.keys(this.#fields).join(', ')}, ${METADATA}KEY`;
  }

  #refuse(path: Path, message: string): null {
    this.#report(path, message);
    return null;
  }

  #fail(path: Path, message: string): undefined {
    this.#report(path, message);
  }
}

function isObject(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}
