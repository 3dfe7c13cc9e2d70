import { canonicalJson } from '../canonical-json.ts';
import type { Evaluation, Place } from './evaluation.ts';
import { isExactMultiple } from './exact-multiple.ts';
import { FORMATS } from './formats.ts';
import { countOf, isObject, type Keyword, type KeywordUse, namesOf, numberOf, require } from './keyword.ts';
import type { Check } from './schema-node.ts';

// Texts are read many characters at a time.
const CHARACTERS_PER_STEP = 16;
const CANONICAL_CHARACTERS_PER_STEP = 2;
const LISTED_LENGTH_MAX = 200;
// BigInt arithmetic with up to 600 digits.
const MULTIPLE_STEPS = 10;

const TYPES: Readonly<Record<string, { readonly what: string; test(value: unknown): boolean }>> = {
  string: { what: 'a string', test: (value) => typeof value === 'string' },
  number: { what: 'a number', test: (value) => typeof value === 'number' },
  integer: { what: 'a whole number', test: Number.isInteger },
  boolean: { what: 'true or false', test: (value) => typeof value === 'boolean' },
  null: { what: 'null', test: (value) => value === null },
  array: { what: 'an array', test: Array.isArray },
  object: { what: 'an object', test: isObject },
};

const type: Keyword = ({ value, pointer }) => {
  const names = typeof value === 'string' ? [value] : namesOf(value, pointer);
  const known = names.length > 0 && names.every((name) => Object.hasOwn(TYPES, name));
  require(known, pointer, `must be one or several of ${Object.keys(TYPES).join(', ')}`);
  const types = names.map((name) => TYPES[name]!);
  const detail = `must be ${types.map(({ what }) => what).join(' or ')}`;
  return (instance, at, run) => types.some(({ test }) => test(instance)) || run.fault(at, detail);
};

const enumeration: Keyword = ({ value, pointer }) => {
  require(Array.isArray(value) && value.length > 0, pointer, 'must be an array with at least one value');
  const allowed = new Set(value.map(canonicalJson));
  return equalsOneOf(allowed, `must be one of ${listed([...allowed])}`);
};

const constant: Keyword = ({ value }) => {
  const allowed = canonicalJson(value);
  return equalsOneOf(new Set([allowed]), `must be ${listed([allowed])}`);
};

function equalsOneOf(allowed: ReadonlySet<string>, detail: string): Check {
  return (instance, at, run) => allowed.has(textOf(instance, run)) || run.fault(at, detail);
}

/** Returns a text that equal values share. */
function textOf(instance: unknown, run: Evaluation): string {
  const text = canonicalJson(instance);
  run.budget.spend(text.length / CANONICAL_CHARACTERS_PER_STEP);
  return text;
}

function listed(texts: readonly string[]): string {
  const list = texts.join(', ');
  return list.length > LISTED_LENGTH_MAX ? `${list.slice(0, LISTED_LENGTH_MAX).toWellFormed()}…` : list;
}

/** A keyword for numbers. */
const limit =
  (isWithin: (instance: number, bound: number) => boolean, what: string): Keyword =>
  (use) => {
    const bound = numberOf(use);
    return (instance, at, run) =>
      typeof instance !== 'number' || isWithin(instance, bound) || run.fault(at, `must be ${what} ${bound}`);
  };

const multipleOf: Keyword = (use) => {
  const divisor = numberOf(use);
  require(divisor > 0, use.pointer, 'must be greater than 0');
  return (instance, at, run) => {
    if (typeof instance !== 'number') return true;
    run.budget.spend(MULTIPLE_STEPS);
    return isExactMultiple(instance, divisor) || run.fault(at, `must be a multiple of ${divisor}`);
  };
};

/** A keyword for the size of a string, array, or object; `measure` returns null for everything else. */
const size =
  (isMax: boolean, units: string, measure: (instance: unknown, run: Evaluation) => number | null): Keyword =>
  (use) => {
    const bound = countOf(use);
    const isFilled = !isMax && bound === 1;
    const detail = isFilled
      ? 'must not be empty'
      : `must have at ${isMax ? 'most' : 'least'} ${bound} ${units}`;
    return (instance, at, run) => {
      const measured = measure(instance, run);
      if (measured === null || (isMax ? measured <= bound : measured >= bound)) return true;
      return run.fault(at, detail);
    };
  };

const characters = (instance: unknown, run: Evaluation) => {
  if (typeof instance !== 'string') return null;
  run.budget.spend(instance.length / CHARACTERS_PER_STEP);
  let count = 0;
  for (const _ of instance) count++;
  return count;
};
const items = (instance: unknown) => (Array.isArray(instance) ? instance.length : null);
const members = (instance: unknown, run: Evaluation) => {
  if (!isObject(instance)) return null;
  const { length } = Object.keys(instance);
  run.budget.spend(length / CHARACTERS_PER_STEP);
  return length;
};

const pattern: Keyword = (use) => {
  const compiled = use.pattern(use.value, use.pointer);
  const detail = `must match the pattern ${use.value}`;
  return (instance, at, run) =>
    typeof instance !== 'string' || compiled.test(instance, run.budget) || run.fault(at, detail);
};

const format: Keyword = ({ value, pointer }) => {
  const isKnown = typeof value === 'string' && Object.hasOwn(FORMATS, value);
  require(isKnown, pointer, `must be one of ${Object.keys(FORMATS).join(', ')}`);
  const { what, test } = FORMATS[value]!;
  return (instance, at, run) => {
    if (typeof instance !== 'string') return true;
    run.budget.spend(instance.length / CHARACTERS_PER_STEP);
    return test(instance) || run.fault(at, `must be ${what}`);
  };
};

const uniqueItems: Keyword = ({ value, pointer }) => {
  require(typeof value === 'boolean', pointer, 'must be true or false');
  if (!value) return null;
  return (instance, at, run) => {
    if (!Array.isArray(instance)) return true;
    const seen = new Set<string>();
    for (const [index, item] of instance.entries()) {
      run.budget.spend(1);
      const text = textOf(item, run);
      if (seen.has(text)) return run.fault({ parent: at, step: index }, 'is there twice, and must be unique');
      seen.add(text);
    }
    return true;
  };
};

function requireMembers(
  instance: Readonly<Record<string, unknown>>,
  names: readonly string[],
  at: Place | null,
  run: Evaluation,
  detail: string,
): boolean {
  run.budget.spend(names.length / CHARACTERS_PER_STEP);
  let hasAll = true;
  for (const name of names)
    if (!Object.hasOwn(instance, name)) hasAll = run.fault({ parent: at, step: name }, detail);
  return hasAll;
}

const required: Keyword = ({ value, pointer }) => {
  const names = namesOf(value, pointer);
  return (instance, at, run) =>
    !isObject(instance) || requireMembers(instance, names, at, run, 'is required');
};

const dependentRequired: Keyword = ({ value, pointer }: KeywordUse) => {
  require(isObject(value), pointer, 'must be an object');
  const rules = Object.entries(value).map(([name, names]) => [name, namesOf(names, pointer)] as const);
  return (instance, at, run) => {
    if (!isObject(instance)) return true;
    let isValid = true;
    for (const [name, names] of rules) {
      run.budget.spend(1);
      if (!Object.hasOwn(instance, name)) continue;
      const detail = `is required if there is a member ${listed([name])}`;
      isValid = requireMembers(instance, names, at, run, detail) && isValid;
    }
    return isValid;
  };
};

/** The keywords that check a value by itself. */
export const ASSERTIONS: Readonly<Record<string, Keyword>> = {
  type,
  enum: enumeration,
  const: constant,
  multipleOf,
  minimum: limit((instance, bound) => instance >= bound, 'at least'),
  maximum: limit((instance, bound) => instance <= bound, 'at most'),
  exclusiveMinimum: limit((instance, bound) => instance > bound, 'greater than'),
  exclusiveMaximum: limit((instance, bound) => instance < bound, 'less than'),
  minLength: size(false, 'characters', characters),
  maxLength: size(true, 'characters', characters),
  minItems: size(false, 'items', items),
  maxItems: size(true, 'items', items),
  minProperties: size(false, 'members', members),
  maxProperties: size(true, 'members', members),
  pattern,
  format,
  uniqueItems,
  required,
  dependentRequired,
};
