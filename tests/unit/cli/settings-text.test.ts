import { describe, expect, test } from 'bun:test';
import { parseEnv } from 'node:util';
import { envExample, settingsPage } from '../../../src/cli/settings-text.ts';
import { describeSettings, loadConfig } from '../../../src/config.ts';

const NAMES: string[] = describeSettings().map(({ name }) => name);

describe('.env.example', () => {
  test('changes nothing when it is copied unedited', () => {
    expect(parseEnv(envExample())).toEqual({});
  });

  test('lists every setting once with its default, and is valid with every line uncommented', () => {
    const uncommented = parseEnv(envExample().replaceAll(/^#(?=[A-Z])/gm, '')) as Record<string, string>;
    expect(Object.keys(uncommented)).toEqual(NAMES);
    expect(loadConfig(uncommented, 'no such file').config).toEqual(loadConfig({}, 'no such file').config);
  });

  test('shows the allowed values, and which settings are not used yet', () => {
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
