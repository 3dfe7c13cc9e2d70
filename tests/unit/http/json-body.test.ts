import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { readJson } from '../../../src/http/json-body.ts';
import { refusalOf } from '../../support/refusal.ts';

const read = (body: string | null, type: string | null = 'application/json') => readJson(type, body);
const refused = (body: string | null, type?: string | null) => refusalOf(() => read(body, type));

describe('a JSON body', () => {
  test('is read back as written, whatever it contains', () => {
    const harmless = (text: string) => !text.includes('\0') && text !== '__proto__';
    const texts = fc.string({ unit: 'binary' }).filter(harmless);
    const values = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        texts,
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(texts, tie('value'), { maxKeys: 3 }),
      ),
    })).value;
    fc.assert(
      fc.property(values, (value) => {
        const text = JSON.stringify(value);
        expect(read(text)).toEqual(JSON.parse(text));
        // The same in ASCII, with everything else escaped.
        const escaped = text.replaceAll(
          /[\u0080-\uffff]/g,
          (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        expect(read(escaped)).toEqual(JSON.parse(text));
      }),
      { numRuns: 50, seed: 6 },
    );
  });

  test.each(['{', '{"a":1,}', "{'a':1}", 'undefined', 'NaN', '{"a":1}x', '\u00a0{}', '// no\n{}'])(
    'is refused when it is malformed: %j',
    (body) => {
      expect(refused(body).code).toBe('malformed_json');
    },
  );

  test('is rejected if missing or empty', () => {
    expect(refused(null).code).toBe('body_missing');
    expect(refused(null, null).code).toBe('body_missing');
    expect(refused('').code).toBe('body_missing');
  });
});

describe('unsafe JSON', () => {
  test.each([
    ['NUL in a string', '{"name":"a\\u0000b"}', '/name', 'NUL'],
    ['NUL in a name', '{"a\\u0000b":1}', '', 'NUL'],
    ['nested NUL', '[{"a":["\\u0000"]}]', '/0/a/0', 'NUL'],
    ['an unpaired surrogate', '{"name":"\\ud83d"}', '/name', 'surrogate'],
    ['an unpaired low surrogate', '{"name":"x\\ude00y"}', '/name', 'surrogate'],
    ['a reversed surrogate pair', '{"name":"\\ude00\\ud83d"}', '/name', 'surrogate'],
    ['an unpaired surrogate in a name', '{"\\ud83d":1}', '', 'surrogate'],
    ['a member named __proto__', '{"__proto__":{"admin":true}}', '', '__proto__'],
    ['the same, escaped', '{"\\u005f_proto__":{"admin":true}}', '', '__proto__'],
    ['the same, nested', '{"a":{"__proto__":1}}', '/a', '__proto__'],
    ['names that a pointer escapes', '{"a/b~c":"\\u0000"}', '/a~1b~0c', 'NUL'],
  ])('is rejected with a pointer: %s', (_, body, pointer, said) => {
    const { code, message, errors } = refused(body);
    expect(code).toBe('malformed_json');
    expect(message).toContain(said);
    expect(errors).toEqual([{ pointer, detail: expect.stringContaining(said) }]);
  });

  test('is not echoed in the problem', () => {
    const { errors } = refused(`{"${'x'.repeat(500)}\\u0000\\ud800":{"a":"\\u0000"}}`);
    expect(errors![0]!.pointer.length).toBeLessThanOrEqual(200);
    expect(errors![0]!.pointer).toSatisfy((text: string) => text.isWellFormed() && !text.includes('\0'));
  });

  test('is not confused with text that only resembles it', () => {
    const harmless = '{"a":"\\\\u0000","b":"__proto__","c":"\\ud83d\\ude00","constructor":1,"prototype":2}';
    expect(read(harmless)).toEqual(JSON.parse(harmless));
  });
});

describe('a content type', () => {
  test.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'application/json ; charset="utf-8"',
  ])('is read: %s', (type) => {
    expect(read('{}', type)).toEqual({});
  });

  test.each([
    null,
    '',
    'text/plain',
    'text/json',
    'application/jsonp',
    'application/json; charset=latin1',
    'application/json, text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=application/json',
  ])('is refused: %p', (type) => {
    expect(refused('{}', type).code).toBe('unsupported_media_type');
  });

  test('of bytes that were not decoded is refused', () => {
    const { code } = refusalOf(() => readJson('text/plain', new TextEncoder().encode('{}')));
    expect(code).toBe('unsupported_media_type');
  });

  test('that is long is truncated in the problem', () => {
    expect(refused('{}', `text/${'x'.repeat(5000)}`).message.length).toBeLessThan(250);
  });
});
