import { expect, test } from 'bun:test';
import { isOneLine, toOneLine } from '../../../src/utils/one-line.ts';

test.each([
  '\n',
  '\r',
  '\u0085',
  '\u2028',
  '\u202e',
  '\u2066',
  '\u200b',
  '\u00ad',
  '\ufeff',
  '\u3164',
  '\u{e0041}',
])('a character that ends a line, reorders others, or is invisible is no part of a name: %j', (hidden) => {
  expect(isOneLine(`Ada${hidden}Byron`)).toBe(false);
  expect(toOneLine(`Ada${hidden}Byron`)).toBe('Ada Byron');
});

test.each(['', 'Ada Byron', 'Zoë Müller-Őz', '李 雷', 'علی\u200cرضا', '👩\u200d💻', '❤️'])(
  'a name of any script, and an emoji, stays: %j',
  (name) => {
    expect(isOneLine(name)).toBe(true);
    expect(toOneLine(name)).toBe(name);
  },
);

test.each(['A\u200dda', 'Ada\u200c', '\u200dعلی', 'علی\u200c\u200cرضا'])(
  'a joiner that joins nothing is no part of a name: %j',
  (name) => expect(isOneLine(name)).toBe(false),
);
