import { expect, test } from 'bun:test';
import { jsonPointerTo, pointerStep } from '../../../src/utils/json-pointer.ts';

const pointerTo = (text: string, what: string) => jsonPointerTo(text, text.lastIndexOf(what));

test('a pointer leads to the value that starts at a character', () => {
  expect(pointerTo('7', '7')).toBe('');
  expect(pointerTo('{"a":[1,{"b":7}]}', '7')).toBe('/a/1/b');
  expect(pointerTo('[{"a":[[],{}]},"7,[{",7]', '7')).toBe('/2');
  expect(pointerTo('{"a":{"b":[1,2]},"c":7}', '7')).toBe('/c');
});

test('a pointer leads to the member whose name starts at a character', () => {
  expect(pointerTo('{"a":1,"b":[{"c":1,"c":2}]}', '"c"')).toBe('/b/0/c');
  expect(pointerTo('{"a":1, "\\u0061":2}', '"\\u')).toBe('/a');
});

test('names are escaped, shortened, and stripped of what no header or log should hold', () => {
  expect(pointerStep('a/b~c')).toBe('a~1b~0c');
  expect(pointerStep('x'.repeat(500))).toHaveLength(100);
  expect(pointerTo('{"\\u0000\\ud800":7}', '7')).toBe('/\uFFFD');
});
