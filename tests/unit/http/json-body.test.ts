import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { AtlasError } from '../../../src/errors.ts';
import { readJson } from '../../../src/http/json-body.ts';

function read(body: BodyInit | null, type: string | null = 'application/json'): Promise<unknown> {
  const request = new Request('http://atlas.test/things', { method: 'POST', body });
  // A text body has a default Content-Type; here the test sets it.
  request.headers.delete('content-type');
  if (type !== null) request.headers.set('content-type', type);
  return readJson(request);
}

async function refusalOf(body: BodyInit | null, type?: string | null): Promise<AtlasError> {
  const error = await read(body, type).then(
    (value) => value,
    (reason: unknown) => reason,
  );
  if (error instanceof AtlasError) return error;
  throw new Error(`The body was not refused: ${JSON.stringify(error)}`);
}

describe('a JSON body', () => {
  test('is read back as written, whatever it contains', async () => {
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
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        const text = JSON.stringify(value);
        expect(await read(text)).toEqual(JSON.parse(text));
        // The same in ASCII, with everything else escaped.
        const escaped = text.replaceAll(
          /[\u0080-\uffff]/g,
          (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        expect(await read(escaped)).toEqual(JSON.parse(text));
      }),
      { numRuns: 50, seed: 6 },
    );
  });

  test.each(['{', '{"a":1,}', "{'a':1}", 'undefined', 'NaN', '{"a":1}x', '\u00a0{}', '// no\n{}'])(
    'is refused when it is malformed: %j',
    async (body) => {
      expect((await refusalOf(body)).code).toBe('malformed_json');
    },
  );

  test('is rejected if missing or empty', async () => {
    expect((await refusalOf(null)).code).toBe('body_missing');
    expect((await refusalOf(null, null)).code).toBe('body_missing');
    expect((await refusalOf('')).code).toBe('body_missing');
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
  ])('is rejected with a pointer: %s', async (_, body, pointer, said) => {
    const { code, message, errors } = await refusalOf(body);
    expect(code).toBe('malformed_json');
    expect(message).toContain(said);
    expect(errors).toEqual([{ pointer, detail: expect.stringContaining(said) }]);
  });

  test('is not echoed in the problem', async () => {
    const { errors } = await refusalOf(`{"${'x'.repeat(500)}\\u0000\\ud800":{"a":"\\u0000"}}`);
    expect(errors![0]!.pointer.length).toBeLessThanOrEqual(200);
    expect(errors![0]!.pointer).toSatisfy((text: string) => text.isWellFormed() && !text.includes('\0'));
  });

  test('is not confused with text that only resembles it', async () => {
    const harmless = '{"a":"\\\\u0000","b":"__proto__","c":"\\ud83d\\ude00","constructor":1,"prototype":2}';
    expect(await read(harmless)).toEqual(JSON.parse(harmless));
  });
});

describe('a content type', () => {
  test.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'application/json ; charset="utf-8"',
  ])('is read: %s', async (type) => {
    expect(await read('{}', type)).toEqual({});
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
  ])('is refused: %p', async (type) => {
    expect((await refusalOf('{}', type)).code).toBe('unsupported_media_type');
  });

  test('that is long is truncated in the problem', async () => {
    expect((await refusalOf('{}', `text/${'x'.repeat(5000)}`)).message.length).toBeLessThan(250);
  });
});
