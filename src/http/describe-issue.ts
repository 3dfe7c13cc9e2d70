import type { z } from 'zod';

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
};
const UNITS: Readonly<Record<string, string>> = {
  string: ' characters',
  array: ' items',
  record: ' members',
};

/**
 * Returns what is wrong with an input, as a predicate to follow its pointer. It is the error map of a parse: a message
 * in a schema takes precedence, and Zod's own is used if this returns undefined.
 *
 * @example schema.safeParse(body, { error: describeIssue }) // "must be a string"
 */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      if (!Object.hasOwn(TYPES, issue.expected)) return undefined;
      return `must be ${TYPES[issue.expected]}${issue.input === null ? ', not null' : ''}`;
    case 'invalid_value':
      if (issue.input === undefined) return 'is required';
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return bound(issue.origin, 'at least', issue.minimum, issue.inclusive);
    case 'too_big':
      return bound(issue.origin, 'at most', issue.maximum, issue.inclusive);
    default:
      return undefined;
  }
}

function bound(origin: string, limit: string, value: number | bigint, inclusive = true): string | undefined {
  if (!inclusive) return undefined;
  if (origin === 'number' || origin === 'int') return `must be ${limit} ${value}`;
  if (!Object.hasOwn(UNITS, origin)) return undefined;
  if (limit === 'at least' && Number(value) === 1) return 'must not be empty';
  return `must have ${limit} ${value}${UNITS[origin]}`;
}
