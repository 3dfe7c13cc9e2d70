import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { jsonScanner } from '../../../src/envelope/scan-json.ts';
import { jsonPointerTo } from '../../../src/utils/json-pointer.ts';
import { readReference } from './json-reference.ts';

const LIMITS = { depthMax: 6, membersMax: 5 };
const scan = jsonScanner(LIMITS);
const usual = jsonScanner({ depthMax: 32, membersMax: 100 });
const pointed = (text: string, scanner = usual) => {
  const fault = scanner(text);
  return fault && { kind: fault.kind, pointer: jsonPointerTo(text, fault.at) };
};
const isDeeperThan = (text: string, depthMax: number) =>
  jsonScanner({ depthMax, membersMax: 100 })(text)?.kind === 'deep';

/** JSON as text, in which names repeat, characters are escaped at random, and numbers have any form. */
const texts = (() => {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const name = fc
    .array(fc.tuple(fc.constantFrom('a', 'b', 'é', '"', '\\', '/', '~', '🏦', '{', ','), fc.boolean()), {
      maxLength: 2,
    })
    .map(
      (characters) =>
        `"${characters
          .map(([one, isEscaped]) =>
            isEscaped ? [...one].join('').split('').map(escaped).join('') : JSON.stringify(one).slice(1, -1),
          )
          .join('')}"`,
    );
  const digits = (maxLength: number) =>
    fc.string({ unit: fc.constantFrom(...'0012356789'), minLength: 1, maxLength });
  const near = fc
    .tuple(
      fc.integer({ min: 0, max: 2 ** 53 + 10 }),
      fc.constantFrom('', '.0', '.5', '.00000000000000000001'),
    )
    .map(([n, tail]) => `${n}${tail}`);
  const number = fc.oneof(
    near,
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => JSON.stringify(n)),
    fc
      .tuple(fc.boolean(), digits(20), fc.option(digits(25)), fc.option(fc.integer({ min: -360, max: 360 })))
      .map(([isNegative, whole, fraction, exponent]) => {
        const start = whole.replace(/^0+(?=.)/, '');
        return `${isNegative ? '-' : ''}${start}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `E${exponent}`}`;
      }),
  );
  const space = fc.constantFrom('', '', ' ', '\n\t');
  return fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      number,
      name,
      fc.constantFrom('true', 'false', 'null', '""', '"]"', '"{\\"a\\":1,"'),
      fc
        .tuple(fc.array(fc.tuple(name, space, tie('value')), { maxLength: 7 }), space)
        .map(([members, gap]) => `{${members.map(([n, s, v]) => `${n}${s}:${s}${v}${s}`).join(`,${gap}`)}}`),
      fc
        .tuple(fc.array(tie('value'), { maxLength: 4 }), space)
        .map(([items, gap]) => `[${items.join(`${gap},`)}]`),
    ),
  })).value;
})();

describe('what the scan finds', () => {
  test('is the first fault that a plain parser with exact arithmetic finds, in any JSON', () => {
    let found = 0;
    fc.assert(
      fc.property(texts, (text) => {
        const { depth, faults } = readReference(text, LIMITS.membersMax);
        const fault = scan(text);
        if (depth > LIMITS.depthMax) return expect(fault?.kind).toBe('deep');
        if (faults.length > 0) found++;
        expect(fault && { kind: fault.kind, pointer: jsonPointerTo(text, fault.at) }).toEqual(
          faults[0] ?? null,
        );
      }),
      { numRuns: 3000, seed: 9 },
    );
    expect(found).toBeGreaterThan(500);
  });

  test('ends, and throws nothing, in text that is not JSON', () => {
    const junk = fc.string({
      unit: fc.constantFrom(...'{}[]",:\\u0019.eE+-truefalsn \u0000é'),
      maxLength: 40,
    });
    fc.assert(
      fc.property(junk, texts, fc.nat(60), (text, valid, at) => {
        scan(text);
        scan(valid.slice(0, at) + text + valid.slice(at));
        scan(valid.slice(0, at));
      }),
      { numRuns: 2000, seed: 10 },
    );
  });
});

test('a number is found wherever it is', () => {
  expect(pointed('{"a":[0,{"amount":0.99999999999999999999}]}')).toEqual({
    kind: 'inexact',
    pointer: '/a/1/amount',
  });
  expect(pointed('1e309')).toEqual({ kind: 'large', pointer: '' });
  expect(pointed('{"a":"0.99999999999999999999","0.99999999999999999999":0.1}')).toBeNull();
});

describe('a repeated member is found', () => {
  test.each([
    ['at the top', '{"amount":1,"amount":2}', '/amount'],
    ['with equal values', '{"a":1,"a":1}', '/a'],
    ['in an object of an array', '[{"a":1},{"b":1,"c":{},"b":2}]', '/1/b'],
    ['inside metadata', '{"metadata":{"a":"x","a":"y"}}', '/metadata/a'],
    ['after nested objects with the same names', '{"a":{"a":1},"b":[{"a":1}],"a":2}', '/a'],
    ['with an escape in one', '{"a":1,"\\u0061":2}', '/a'],
    ['with an escape in the other', '{"\\u0061":1,"a":2}', '/a'],
    ['with different escapes', '{"\\/":1,"\\u002f":2}', '/~1'],
    ['with an escaped quote', '{"\\"":1,"\\u0022":2}', '/"'],
    ['when it is empty', '{"":1,"":2}', '/'],
    ['when it has surrogates', '{"🏦":1,"\\ud83c\\udfe6":2}', '/🏦'],
    ['with odd spacing', '{ "a" : 1 ,\n"a"\t:2}', '/a'],
  ])('%s', (_, text, pointer) => {
    expect(pointed(text)).toEqual({ kind: 'repeated', pointer });
  });

  test.each([
    ['in different objects', '[{"a":1},{"a":1}]'],
    ['in an object and its parent', '{"a":{"a":{"a":1}}}'],
    ['as a value', '{"a":"a","b":"a"}'],
    ['as items', '["a","a"]'],
    ['that differ in case', '{"a":1,"A":2}'],
    ['that look alike', '{"\\\\u0061":1,"a":2}'],
    ['in text', '{"a":"\\"b\\":1,\\"b\\":2"}'],
    ['that are normalized differently', '{"é":1,"e\\u0301":2}'],
  ])('but not the same names %s', (_, text) => {
    expect(JSON.parse(text)).toBeDefined();
    expect(usual(text)).toBeNull();
  });
});

describe('a hostile body is bounded:', () => {
  const named = (count: number, nameOf: (i: number) => string) =>
    `{${Array.from({ length: count }, (_, i) => `${JSON.stringify(nameOf(i))}:0`).join(',')}}`;

  test('100,000 members in one object end at the limit', () => {
    expect(pointed(named(100_000, (i) => `m${i}`))).toEqual({ kind: 'crowded', pointer: '/m100' });
    expect(usual(named(100, (i) => `m${i}`))).toBeNull();
  });

  test('the last of the members that are allowed can still be a repeated one', () => {
    expect(pointed(named(100, (i) => `m${i % 99}`))).toEqual({ kind: 'repeated', pointer: '/m0' });
  });

  test('100,000 objects of few members, and names of 10,000 characters that differ in the last', () => {
    expect(usual(`[${'{"a":1,"b":2},'.repeat(100_000)}0]`)).toBeNull();
    expect(usual(named(100, (i) => `${'x'.repeat(10_000)}${i}`))).toBeNull();
  });

  test('names of a body do not remain for the next', () => {
    expect(usual('{"a":1,"\\u0062":')).toBeNull();
    expect(usual('{"a":1,"b":2,"c":3}')).toBeNull();
    expect(usual('{"\\u0061":1,"\\u0062":2}')).toBeNull();
    expect(usual('{"x":1,"b":2}')).toBeNull();
  });
});

describe('the depth of JSON', () => {
  test('equals the depth of the parsed value, for any JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.nat(6), (text, depthMax) => {
        expect(isDeeperThan(text, depthMax)).toBe(readReference(text, 100).depth > depthMax);
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  test.each([
    ['brackets in a string', '["[[[[{{{{"]'],
    ['brackets in a name', '{"[[[[":1}'],
    ['an escaped quote', '["\\"[[[["]'],
    ['an escaped backslash before a quote', '["\\\\",["a"]]'],
    ['siblings', '[[],[],{},{}]'],
  ])('is not raised by %s', (_, text) => {
    expect(isDeeperThan(text, 2)).toBe(false);
  });

  test('is found in a million brackets, without overflowing the stack', () => {
    expect(isDeeperThan('['.repeat(1_000_000), 32)).toBe(true);
    expect(isDeeperThan('{"a":'.repeat(1_000_000), 32)).toBe(true);
  });

  test('is found behind another fault, because the parser would reach it', () => {
    expect(isDeeperThan(`{"a":1,"a":1e999,"b":${'['.repeat(100_000)}`, 32)).toBe(true);
  });

  test('is also found in text that is not JSON, which is left to the parser', () => {
    expect(isDeeperThan('"[[[', 1)).toBe(false);
    expect(isDeeperThan(']]][[', 1)).toBe(false);
    expect(isDeeperThan('', 0)).toBe(false);
  });
});
