import { expect, test } from 'bun:test';
import { isJsonType } from '../../../src/utils/json-type.ts';

test.each([
  'application/json',
  'Application/JSON',
  'APPLICATION/JSON',
  ' application/json ',
  'application/json;',
  'application/json ;',
  'application/json; ;',
  'application/json;;',
  'application/json; charset=utf-8',
  'application/json;charset=UTF-8',
  'application/json;CHARSET=Utf-8',
  'application/json ; charset="utf-8"',
  'application/json\t;\tcharset\t=\t"UTF-8"\t;',
  'application/json; charset=utf8',
  'application/json; charset=US-ASCII',
  'application/json; charset="utf\\-8"',
  'application/json; odata=verbose; charset=utf-8',
  'application/json; profile="a;charset=latin1"; charset=utf-8',
  'application/json; ieee754compatible=true',
])('%j is JSON', (type) => expect(isJsonType(type)).toBe(true));

test.each([
  null,
  '',
  'text/json',
  'application/jsonp',
  'application/json5',
  'application/problem+json',
  'application/json, text/plain',
  'application/json, application/json',
  'application/json charset=utf-8',
  'application/json; charset',
  'application/json; charset=',
  'application/json; charset="utf-8',
  'application/json; charset=latin1',
  'application/json; charset=utf-16',
  'application/json; charset=utf-8; charset=latin1',
  'application/json; a="\\"; charset=utf-16; b=""; charset=utf-16',
  'multipart/form-data; boundary=application/json',
])('%j is not', (type) => expect(isJsonType(type)).toBe(false));

test('a long header is read in linear time', () => {
  for (const part of ['; ', ' ;', ';a=b ', '; a = "\\\\" ', ' \t', ';a=']) {
    isJsonType(`application/json${part.repeat(20_000)}!`);
  }
});
