/** What a field holds. The values of metadata are text. */
export type FieldType = 'text' | 'number' | 'time' | 'id';

/** A field that a filter may name. */
export interface Field {
  readonly type: FieldType;
  /**
   * The fields of the terms under which a value is found: see `sql/migrations/*_search.up.sql`. None: the field narrows
   * down what another one, or the order, has found.
   */
  readonly terms: readonly string[];
  /** Whether it may be null. */
  readonly isNullable: boolean;
}

export type Value = string | number;

/** What a value must be. All that is given must hold. */
export interface Comparison {
  readonly eq?: Value | null;
  readonly in?: readonly Value[];
  readonly gte?: Value;
  readonly gt?: Value;
  readonly lte?: Value;
  readonly lt?: Value;
  readonly startsWith?: string;
}

/**
 * Which items to find. Logic has two values: a comparison of what is null does not hold, and its negation does. A time
 * is in milliseconds since 1970.
 */
export type Filter =
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter }
  | { readonly field: string; readonly is: Comparison };

/** The fields of a kind of items by name. Those of metadata are `metadata.KEY`, whatever the key. */
export type Fields = Readonly<Record<string, Field>>;

export const METADATA = 'metadata.';
const NULLABLE_TEXT = { type: 'text', isNullable: true } as const;

export const TRANSFER_FIELDS: Fields = {
  amount: { type: 'number', terms: [], isNullable: false },
  ledger: { type: 'text', terms: [], isNullable: false },
  reference: { ...NULLABLE_TEXT, terms: ['reference'] },
  debitAccountId: { type: 'id', terms: ['debitAccountId'], isNullable: false },
  creditAccountId: { type: 'id', terms: ['creditAccountId'], isNullable: false },
  accountId: { type: 'id', terms: ['debitAccountId', 'creditAccountId'], isNullable: false },
  createdAt: { type: 'time', terms: [], isNullable: false },
};

export const ACCOUNT_FIELDS: Fields = {
  ledger: { type: 'text', terms: ['ledger'], isNullable: false },
  name: { ...NULLABLE_TEXT, terms: ['name'] },
  kind: { ...NULLABLE_TEXT, terms: ['kind'] },
  balance: { type: 'number', terms: [], isNullable: false },
  createdAt: { type: 'time', terms: [], isNullable: false },
};

/** Returns a field by its name, or null if there is none. */
export function fieldOf(fields: Fields, name: string): Field | null {
  if (Object.hasOwn(fields, name)) return fields[name]!;
  return name.startsWith(METADATA) && name.length > METADATA.length
    ? { ...NULLABLE_TEXT, terms: [name] }
    : null;
}

/** By time of creation. */
export type Order = 'oldest first' | 'newest first';
