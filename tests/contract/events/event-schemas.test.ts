import { describe, expect, test } from 'bun:test';
import { dataSchemaOf } from '../../../src/features/events/log/catalogue.ts';
import { EVENT_CATALOGUE } from '../../../src/features.ts';
import { incompatibilitiesOf, type Schema, withoutDescriptions } from './event-schemas/compatibility.ts';
import { readReleased, releasedTypes } from './event-schemas/released.ts';

describe('the released schema of an event', () => {
  test('exists for every type, and no released type is missing', () => {
    expect(releasedTypes()).toEqual(Object.keys(EVENT_CATALOGUE).toSorted());
  });

  test.each(releasedTypes())('%s is compatible with its consumers', (type) => {
    const written = dataSchemaOf(EVENT_CATALOGUE[type]!);
    // Anything listed here breaks consumers: revert this version, and add a new one.
    expect(incompatibilitiesOf(readReleased(type), written as Schema)).toEqual([]);
    // After an addition, run `bun tests/contract/events/event-schemas/freeze.ts`.
    expect(withoutDescriptions(written)).toEqual(withoutDescriptions(readReleased(type)));
  });
});

describe('the comparison', () => {
  const text = { type: 'string' } as const;
  const released: Schema = {
    type: 'object',
    properties: {
      id: { type: 'string', format: 'uuid', pattern: '^[0-9a-f-]+$' },
      amount: { type: 'integer', minimum: 1, maximum: 100 },
      name: { type: ['string', 'null'] },
      kind: { anyOf: [{ type: 'string', enum: ['a', 'b'] }, { type: 'null' }] },
      extra: text,
      list: { type: 'array', items: text },
      texts: { type: 'object', propertyNames: text, additionalProperties: text },
      inner: { type: 'object', properties: { deep: text }, required: ['deep'] },
    },
    required: ['id', 'amount', 'name', 'kind', 'texts', 'inner'],
  };
  const change = (members: Record<string, Schema | undefined>, required = released.required!): Schema => {
    const properties = Object.entries({ ...released.properties, ...members });
    const kept = properties.filter((entry): entry is [string, Schema] => entry[1] !== undefined);
    return { ...released, properties: Object.fromEntries(kept), required };
  };

  test('accepts an unchanged schema, added members and narrower ones', () => {
    expect(incompatibilitiesOf(released, released)).toEqual([]);
    const narrower = change({
      more: text,
      amount: { type: 'integer', minimum: 2, maximum: 99 },
      name: text,
      kind: { type: 'string', enum: ['a'] },
    });
    expect(
      incompatibilitiesOf(released, { ...narrower, required: [...released.required!, 'extra', 'more'] }),
    ).toEqual([]);
  });

  test.each([
    [
      'a list of something else',
      change({ list: { type: 'array', items: { type: 'integer' } } }),
      'data.list.* may be integer',
    ],
    ['a removed member', change({ amount: undefined }), 'data.amount is gone'],
    ['a removed optional member', change({ extra: undefined }), 'data.extra is gone'],
    ['a renamed member', change({ name: undefined, title: text }), 'data.name is gone'],
    ['a member of another type', change({ amount: text }), 'data.amount may be string'],
    [
      'a member that may be missing',
      change({}, ['amount', 'name', 'kind', 'texts', 'inner']),
      'data.id may be missing',
    ],
    ['a member that may be null', change({ extra: { type: ['string', 'null'] } }), 'data.extra may be null'],
    [
      'a new value',
      change({ kind: { type: 'string', enum: ['a', 'c'] } }),
      'data.kind may have other values',
    ],
    ['any value', change({ kind: text }), 'data.kind may have other values'],
    ['another pattern', change({ id: { type: 'string', format: 'uuid' } }), 'data.id has another pattern'],
    [
      'another format',
      change({ id: { type: 'string', pattern: '^[0-9a-f-]+$' } }),
      'data.id has another format',
    ],
    [
      'a smaller number',
      change({ amount: { type: 'integer', minimum: 0, maximum: 100 } }),
      'data.amount may be smaller',
    ],
    ['no upper bound', change({ amount: { type: 'integer', minimum: 1 } }), 'data.amount may be larger'],
    [
      'fractions',
      change({ amount: { type: 'number', minimum: 1, maximum: 100 } }),
      'data.amount may be number',
    ],
    [
      'something deep inside',
      change({ inner: { type: 'object', properties: { deep: { type: 'integer' } }, required: ['deep'] } }),
      'data.inner.deep may be integer',
    ],
    [
      'texts that are none',
      change({ texts: { type: 'object', propertyNames: text, additionalProperties: { type: 'integer' } } }),
      'data.texts.* may be integer',
    ],
    ['any members', change({ texts: { type: 'object' } }), 'data.texts may have other members'],
  ] as const)('finds %s', (_name, written, surprise) => {
    expect(incompatibilitiesOf(released, written)).toEqual([surprise]);
  });

  test('rejects keywords it does not support', () => {
    expect(() => incompatibilitiesOf(released, change({ name: { oneOf: [text] } as Schema }))).toThrow(
      'oneOf',
    );
    expect(() => incompatibilitiesOf(released, change({ name: {} }))).toThrow('type');
  });
});
