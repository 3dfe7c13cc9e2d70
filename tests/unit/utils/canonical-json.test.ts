import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { canonicalJson } from '../../../src/utils/canonical-json.ts';

test('sorts members by UTF-16 code units and writes no white space, as RFC 8785 says', () => {
  const value = JSON.parse(
    '{"\\u20ac":1,"\\r":2,"1":[3, {"b":null,"a":"\\u000f"}],"\\ud83d\\ude00":4.50,"\\ufb33":1E30}',
  );
  expect(canonicalJson(value)).toBe(
    '{"\\r":2,"1":[3,{"a":"\\u000f","b":null}],"€":1,"😀":4.5,"\ufb33":1e+30}',
  );
});

test('equal values have equal texts, and others do not', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
      const [left, right] = [a, b].map((value) => JSON.parse(JSON.stringify(value)) as unknown);
      expect(canonicalJson(left) === canonicalJson(right)).toBe(Bun.deepEquals(left, right));
      expect(JSON.parse(canonicalJson(left))).toEqual(left);
    }),
  );
});
