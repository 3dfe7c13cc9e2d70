import { describe, expect, test } from 'bun:test';
import { filesOf, textOf } from '../support/source-tree.ts';

/** Words that read like a translation. CONTRIBUTING ("Language") has the field's words for them. */
const BANNED =
  /\b(?:answer(?:s|ed|ing)?|figures|told|hears?|heard|whoever|anew|nonsense|mend(?:s|ed|ing)?|begun|buri?e?[sdy]|oddly|for ever|stands? in line)\b/i;
const FILES = [
  ...filesOf('src/**/*.ts', 'src/**/*.{js,lua}', 'infra/**/*.{ts,mjs,yml,yaml}', 'sql/functions/*.sql'),
  ...filesOf('*.md', 'docs/**/*.md', 'docs/**/*.json', '.env.example', 'compose.yaml'),
];

/** The glossary itself has to name them. */
const withoutGlossary = (path: string, text: string) =>
  path === 'CONTRIBUTING.md' ? text.replace(/^## Language$[\s\S]*?(?=^## )/m, '') : text;

describe('the language', () => {
  test('of code, API and docs contains no banned word', () => {
    expect(FILES.length).toBeGreaterThan(300);
    const found = FILES.flatMap((path) =>
      withoutGlossary(path, textOf(path))
        .split('\n')
        .flatMap((line, i) => (BANNED.test(line) ? `${path}:${i + 1}: ${line.trim()}` : [])),
    );
    expect(found).toEqual([]);
  });

  test('of test names contains no banned word', () => {
    const named = filesOf('tests/**/*.test.ts').flatMap((path) =>
      [...textOf(path).matchAll(/^\s*(?:test|describe)(?:\.\w+)*\(\s*'([^']+)'/gm)].map(
        ([, name]) => `${path}: ${name}`,
      ),
    );
    expect(named.length).toBeGreaterThan(500);
    expect(named.filter((name) => BANNED.test(name.replace(/^[^:]*:/, '')))).toEqual([]);
  });
});
