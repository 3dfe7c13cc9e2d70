import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import { describeIssue } from '../../../src/http/describe-issue.ts';

const detailOf = (schema: z.ZodType, input: unknown) =>
  schema.safeParse(input, { error: describeIssue }).error?.issues[0]?.message;

describe('an invalid input', () => {
  test.each<[string, z.ZodType, unknown, string]>([
    ['of another type', z.string(), 3, 'must be a string'],
    ['that is not a number', z.number(), 'x', 'must be a number'],
    ['that is a fraction', z.int(), 1.5, 'must be a whole number'],
    ['that is not a boolean', z.boolean(), 'x', 'must be true or false'],
    ['that is not an array', z.array(z.string()), {}, 'must be an array'],
    ['that is not an object', z.strictObject({}), [], 'must be an object'],
    ['that is not a map', z.record(z.string(), z.string()), 'x', 'must be an object'],
    ['that is no choice', z.enum(['asset', 'liability']), 'x', 'must be one of asset, liability'],
    ['that is not the constant', z.literal('now'), 'x', 'must be now'],
    ['that is missing', z.string(), undefined, 'is required'],
    ['that misses a choice', z.enum(['a', 'b']), undefined, 'is required'],
    ['below the minimum', z.number().min(2), 1, 'must be at least 2'],
    ['above the maximum', z.number().max(2), 3, 'must be at most 2'],
    ['that is too long', z.string().max(2), 'abc', 'must have at most 2 characters'],
    ['with too few items', z.array(z.string()).min(1), [], 'must not be empty'],
  ])('%s is described', (_, schema, input, detail) => {
    expect(detailOf(schema, input)).toBe(detail);
  });

  test('has the message of its schema, if there is one', () => {
    expect(detailOf(z.string().min(1, 'must not be empty'), '')).toBe('must not be empty');
  });

  test('that nothing here describes has the message of Zod', () => {
    expect(detailOf(z.number().gt(2), 2)).toBe('Too small: expected number to be >2');
  });
});
