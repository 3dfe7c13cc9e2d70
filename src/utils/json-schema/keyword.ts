import type { LinearPattern } from './linear-pattern.ts';
import { SchemaFault } from './schema-fault.ts';
import type { Check, SchemaNode } from './schema-node.ts';

/** A schema that is an object, as it came. */
export type RawSchema = Readonly<Record<string, unknown>>;

/** A keyword in a schema that is compiled. */
export interface KeywordUse {
  readonly value: unknown;
  /** A JSON pointer to the keyword. */
  readonly pointer: string;
  /** The schema that it is in. */
  readonly schema: RawSchema;
  readonly node: SchemaNode;
  /** Compiles a subschema. Throws {@link SchemaFault}. */
  compile(schema: unknown, pointer: string): SchemaNode;
  /** Compiles a subschema that applies to the same value. Throws {@link SchemaFault}. */
  compileInPlace(schema: unknown, pointer: string): SchemaNode;
  /** Throws {@link SchemaFault}. */
  pattern(source: unknown, pointer: string): LinearPattern;
  /** Calls back with the schema that a `$ref` names, once all are compiled. */
  refer(reference: string, pointer: string, found: (target: SchemaNode) => void): void;
}

/** Compiles a keyword. Returns null if it checks nothing. Throws {@link SchemaFault}. */
export type Keyword = (use: KeywordUse) => Check | null;

/** Throws if the condition does not hold. */
export function require(condition: boolean, pointer: string, detail: string): asserts condition {
  if (!condition) throw new SchemaFault(pointer, detail);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the value of a keyword that is a count. */
export function countOf({ value, pointer }: KeywordUse): number {
  require(Number.isInteger(value) && (value as number) >= 0, pointer, 'must be a whole number, at least 0');
  return value as number;
}

/** Returns the value of a keyword that is a number. */
export function numberOf({ value, pointer }: KeywordUse): number {
  require(typeof value === 'number', pointer, 'must be a number');
  return value;
}

/** Returns the value of a keyword that is a list of different names. */
export function namesOf(value: unknown, pointer: string): readonly string[] {
  const isList = Array.isArray(value) && value.every((name) => typeof name === 'string');
  require(isList && new Set(value).size === value.length, pointer, 'must be an array of different strings');
  return value;
}

/** Returns the value of a keyword that is a list of schemas. */
export function listOf({ value, pointer }: KeywordUse): readonly unknown[] {
  require(Array.isArray(value) && value.length > 0, pointer, 'must be an array with at least one schema');
  return value;
}

/** Returns the value of a keyword that is an object. */
export function objectOf({ value, pointer }: KeywordUse): RawSchema {
  require(isObject(value), pointer, 'must be an object');
  return value;
}

/** Appends a name to a JSON pointer (RFC 6901). */
export function within(pointer: string, name: string): string {
  return `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
