import { describe, expect, test } from 'bun:test';
import { parseEnv } from 'node:util';
import { envExample, replaceSettingsTable } from '../../../src/cli/settings-text.ts';
import { describeSettings, loadConfig } from '../../../src/config.ts';

const NAMES: string[] = describeSettings().map(({ name }) => name);

describe('.env.example', () => {
  test('changes nothing when it is copied as it is', () => {
    expect(parseEnv(envExample())).toEqual({});
  });

  test('names every setting once, with its default, and is valid when every line is switched on', () => {
    const switchedOn = parseEnv(envExample().replaceAll(/^#(?=[A-Z])/gm, '')) as Record<string, string>;
    expect(Object.keys(switchedOn)).toEqual(NAMES);
    expect(loadConfig(switchedOn, 'no such file').config).toEqual(loadConfig({}, 'no such file').config);
  });

  test('says what is allowed, and what has no effect yet', () => {
    expect(envExample()).toContain(
      '# Port to listen on. 0 takes a free one. Allowed: a whole number from 0 to 65535.',
    );
    for (const { description, unused } of describeSettings()) {
      expect(envExample().includes(`${description} Not used yet.`)).toBe(unused === true);
    }
  });
});

describe('the table of the README', () => {
  const begin = '<!-- settings: written by `npm run docs:generate` -->';
  const end = '<!-- settings end -->';

  test('is written between its two marks, and nothing else changes', () => {
    const text = replaceSettingsTable(`before\n${begin}\nstale row\n${end}\nafter\n`);
    expect(text).toStartWith(`before\n${begin}\n| setting |`);
    expect(text).toEndWith(`|\n${end}\nafter\n`);
    expect(text).not.toContain('stale row');
    expect([...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name!)).toEqual(NAMES);
  });

  test('stays the same when it is written again', () => {
    const once = replaceSettingsTable(`${begin}${end}`);
    expect(replaceSettingsTable(once)).toBe(once);
  });

  test.each([
    ['both marks', 'no marks here'],
    ['the first mark', `text ${end}`],
    ['the second mark', `${begin} text`],
    ['their order', `${end} text ${begin}`],
  ])('is refused where the README lacks %s', (_, readme) => {
    expect(() => replaceSettingsTable(readme)).toThrow('README.md has no place for the settings.');
  });
});
