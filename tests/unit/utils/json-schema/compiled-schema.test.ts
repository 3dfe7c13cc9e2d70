import { describe, expect, test } from 'bun:test';
import Ajv2020 from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { CompiledSchema } from '../../../../src/utils/json-schema/compiled-schema.ts';
import { SchemaFault } from '../../../../src/utils/json-schema/schema-fault.ts';
import { readSuite } from './suite.ts';

const STEPS_MAX = 100_000;
const validate = (schema: unknown, value: unknown) =>
  CompiledSchema.compile(schema).validate(value, STEPS_MAX);

function faultOf(schema: unknown): { pointer: string; detail: string } | null {
  try {
    CompiledSchema.compile(schema);
    return null;
  } catch (error) {
    if (!(error instanceof SchemaFault)) throw error;
    return { pointer: error.pointer, detail: error.message };
  }
}

/** What schemas of the suite use that Atlas refuses on purpose. */
const NOT_SUPPORTED = [
  /\/\$(?:id|dynamicRef|dynamicAnchor) (?:is not a supported keyword|must be at the root)/,
  /\/\$anchor is there twice/,
  /\/\$ref must begin with #/,
  /\/contentSchema is not a supported keyword/,
  /^\/enum must be an array with at least one value/,
];
/** Mail addresses that RFC 5321 allows and that nobody has. */
const REFUSED_ADDRESSES = /quoted string|address-literal/;

describe('the JSON Schema Test Suite', () => {
  test.each(readSuite())('%s passes', (file, groups) => {
    let count = 0;
    for (const { description, schema, tests } of groups) {
      const fault = faultOf(schema);
      if (fault !== null) {
        const said = `${fault.pointer} ${fault.detail}`;
        expect({ file, description, said, isMeant: NOT_SUPPORTED.some((form) => form.test(said)) }).toEqual({
          file,
          description,
          said,
          isMeant: true,
        });
        continue;
      }
      for (const { description: what, data, valid } of tests) {
        if (file === 'optional/format/email.json' && REFUSED_ADDRESSES.test(what)) continue;
        const found = validate(schema, data).length === 0;
        expect({ file, description, what, valid: found }).toEqual({ file, description, what, valid });
        count++;
      }
    }
    expect(count).toBeGreaterThan(0);
  });
});

/**
 * Schemas over a few names and values, so that they often match. None has `unevaluatedProperties` or `unevaluatedItems`:
 * those of ajv 8 see what a schema around theirs has evaluated, against the specification. The suite has them.
 */
const { schema: anySchema } = fc.letrec<{ schema: unknown }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    fc.boolean(),
    fc.record(
      {
        type: fc.constantFrom('object', 'array', 'string', 'integer', ['null', 'boolean']),
        enum: fc.uniqueArray(fc.constantFrom(null, 1, 'a', 'ab', [1]), { minLength: 1 }),
        minLength: fc.nat(2),
        maximum: fc.nat(2),
        required: fc.uniqueArray(fc.constantFrom('a', 'b')),
        uniqueItems: fc.boolean(),
        minItems: fc.nat(2),
        maxProperties: fc.nat(2),
      },
      { requiredKeys: [] },
    ),
    fc.record(
      {
        properties: fc.dictionary(fc.constantFrom('a', 'b'), tie('schema'), { maxKeys: 2 }),
        patternProperties: fc.dictionary(fc.constantFrom('^a', 'b$'), tie('schema'), { maxKeys: 2 }),
        additionalProperties: tie('schema'),
        propertyNames: tie('schema'),
        items: tie('schema'),
        prefixItems: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
        contains: tie('schema'),
        allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
        anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
        oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }),
        not: tie('schema'),
        if: tie('schema'),
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
        then: tie('schema'),
        else: tie('schema'),
      },
      { requiredKeys: [] },
    ),
  ),
}));
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, 0, 1, 1.5, 3, '', 'a', 'ab'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'ab'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

/** What ajv finds, or null where the code that it generates fails, as for `anyOf` beside `patternProperties`. */
function ajvFinds(isValid: (value: unknown) => unknown, value: unknown): boolean | null {
  try {
    return isValid(value) === true;
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

test('agrees with ajv on whatever schema and value', () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true, addUsedSchema: false });
  const compared = { matching: 0, others: 0 };
  fc.assert(
    fc.property(anySchema, fc.array(anyValue, { minLength: 1, maxLength: 4 }), (schema, values) => {
      const isValid = ajv.compile(schema as object);
      for (const value of values) {
        const expected = ajvFinds(isValid, value);
        if (expected === null) continue;
        compared[expected ? 'matching' : 'others']++;
        expect(validate(schema, value).length === 0).toBe(expected);
      }
    }),
    { numRuns: 300, seed: 1 },
  );
  expect(compared.matching).toBeGreaterThan(100);
  expect(compared.others).toBeGreaterThan(100);
});

describe('mistakes in a value', () => {
  const schema = {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string', minLength: 1 }, tags: { items: { enum: ['a', 'b'] } } },
    additionalProperties: false,
  };

  test('are reported all at once, each with a pointer and what is allowed', () => {
    expect(validate(schema, { tags: ['a', 'c'], 'x/y': 1 })).toEqual([
      { pointer: '/name', detail: 'is required' },
      { pointer: '/tags/1', detail: 'must be one of "a", "b"' },
      { pointer: '/x~1y', detail: 'is not allowed' },
    ]);
    expect(validate(schema, { name: '' })).toEqual([{ pointer: '/name', detail: 'must not be empty' }]);
  });

  test('are at most 20', () => {
    expect(validate({ items: false }, Array(100).fill(1))).toHaveLength(20);
  });

  test('never contain the value', () => {
    const secret = 'A-1234567';
    const strict = {
      properties: { passport: { pattern: '^B', maxLength: 2, format: 'date', enum: ['B1'] } },
    };
    const found = validate(strict, { passport: secret });
    expect(found).toHaveLength(4);
    expect(JSON.stringify(found)).not.toContain(secret);
  });

  test('of names like those of objects are found', () => {
    const closed = { properties: { constructor: { type: 'string' } }, additionalProperties: false };
    expect(validate(closed, JSON.parse('{"constructor":"a"}'))).toEqual([]);
    expect(validate(closed, JSON.parse('{"toString":1,"__proto__":{"a":1}}'))).toHaveLength(2);
    expect(validate({ required: ['toString', '__proto__'] }, {})).toHaveLength(2);
    expect(validate({ properties: JSON.parse('{"__proto__":{"type":"string"}}') }, {})).toEqual([]);
    expect({} as { a?: number }).not.toHaveProperty('a');
  });
});

describe('a schema is refused', () => {
  test.each<[string, unknown, string, string]>([
    [
      'for a mistyped keyword',
      { properties: { a: { requierd: [] } } },
      '/properties/a/requierd',
      'is not a supported keyword',
    ],
    ['for a keyword of a former draft', { definitions: {} }, '/definitions', 'is not a supported keyword'],
    [
      'for another dialect',
      { $schema: 'http://json-schema.org/draft-07/schema#' },
      '/$schema',
      'must be https',
    ],
    ['for a list of items of a former draft', { items: [{}] }, '/items', 'use prefixItems'],
    ['for an unknown format', { format: 'phone' }, '/format', 'must be one of date'],
    ['for a reference to another document', { $ref: 'https://example.com/a' }, '/$ref', 'must begin with #'],
    ['for a reference to the file system', { $ref: 'file:///etc/passwd' }, '/$ref', 'must begin with #'],
    [
      'for a reference to no schema',
      { $ref: '#/properties', properties: {} },
      '/$ref',
      'must point to a schema',
    ],
    ['for a reference into __proto__', { $ref: '#/__proto__' }, '/$ref', 'must point to a schema'],
    ['for a reference to itself', { $ref: '#' }, '', 'refers to itself'],
    [
      'for a circle',
      { $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { not: { $ref: '#/$defs/a' } } } },
      '/$defs/b/not',
      'refers to itself',
    ],
    ['for a lookahead', { pattern: '^(?=a)' }, '/pattern', 'must not look around'],
    ['for a backreference', { pattern: '(a)\\1' }, '/pattern', 'must not refer back'],
    [
      'for a pattern that is none',
      { patternProperties: { '(': true } },
      '/patternProperties/(',
      'must be a regular expression',
    ],
    [
      'for a pattern that repeats too much',
      { pattern: '((a{100}){100}){100}' },
      '/pattern',
      'more than 2000 states',
    ],
    ['for a long pattern', { pattern: 'a'.repeat(501) }, '/pattern', 'at most 500 characters'],
    [
      'for too many states',
      { allOf: Array.from({ length: 20 }, (_, i) => ({ pattern: `a{999}${i}` })) },
      '/allOf/9/pattern',
      'more than 10000 states',
    ],
    [
      'for too many subschemas',
      { prefixItems: Array(2000).fill(true) },
      '/prefixItems/1999',
      'more than 2000 subschemas',
    ],
    [
      'for a name that would be stored with each of many subschemas',
      { properties: { ['n'.repeat(50_000)]: { prefixItems: Array(1000).fill(true) } } },
      `/properties/${'n'.repeat(50_000)}/prefixItems/18`,
      'shorter names',
    ],
    ['that is no schema', [], '', 'must be a schema'],
    ['with a subschema that is none', { not: 'a' }, '/not', 'must be a schema'],
  ])('%s', (_, schema, pointer, detail) => {
    expect(faultOf(schema)).toEqual({ pointer, detail: expect.stringContaining(detail) });
  });

  test('but not for keywords of its own, annotations, or a long name', () => {
    const name = 'n'.repeat(300);
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: 'https://example.com/identity',
      'x-owner': { team: 1 },
      title: 'T',
      examples: [1],
      properties: { [name]: { type: 'string' }, [`${name}2`]: { $ref: `#/properties/${name}` } },
    };
    expect(faultOf(schema)).toBeNull();
    expect(validate(schema, { [`${name}2`]: 1 })).toHaveLength(1);
  });
});
