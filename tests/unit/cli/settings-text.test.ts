import { describe, expect, test } from 'bun:test';
import { parseEnv } from 'node:util';
import { envExample, settingsPage } from '../../../src/cli/settings-text.ts';
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
      '# Port to listen on. 0 picks a free port. Allowed: a whole number from 0 to 65535.',
    );
    for (const { description, unused } of describeSettings()) {
      expect(envExample().includes(`${description} Not used yet.`)).toBe(unused === true);
    }
  });
});

describe('docs/settings.md', () => {
  test('has a row for every setting, in the order of the schema', () => {
    expect([...settingsPage().matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name!)).toEqual(NAMES);
  });

  test('has every section once', () => {
    const sections = [...new Set(describeSettings().map(({ section }) => section))];
    expect([...settingsPage().matchAll(/^## (.+)$/gm)].map(([, section]) => section!)).toEqual(sections);
  });
});
