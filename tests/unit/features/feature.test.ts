import { describe, expect, test } from 'bun:test';
import { mergeTables } from '../../../src/features/feature.ts';
import { FEATURE_SETTINGS, PROBLEM_KINDS } from '../../../src/features.ts';
import { coreSettings } from '../../../src/settings.ts';
import { filesOf, textOf } from '../../support/source-tree.ts';

describe('the tables of all features', () => {
  test('contain what each feature declares', () => {
    expect(mergeTables({ a: 1 }, {}, { b: 2 })).toEqual({ a: 1, b: 2 });
  });

  test('reject a name that two features declare, even one that every object inherits', () => {
    expect(() => mergeTables({ a: 1 }, { b: 2, a: 1 })).toThrow('Two features declare a.');
    expect(mergeTables({ constructor: 1 })).toEqual({ constructor: 1 });
  });
});

test('no feature declares a setting of the house', () => {
  expect(Object.keys(FEATURE_SETTINGS).filter((name) => Object.hasOwn(coreSettings, name))).toEqual([]);
});

describe('the error codes', () => {
  const raised = filesOf('src/**/*.ts').flatMap((path) =>
    [...textOf(path).matchAll(/new AtlasError\(\s*'(\w+)'/g)].map(([, code]) => code!),
  );

  test('that are raised have exactly one kind each', () => {
    expect(raised.length).toBeGreaterThan(50);
    const declared = filesOf('src/http/problems.ts', 'src/features/**/*problems.ts').flatMap((path) =>
      [...textOf(path).matchAll(/^ {2}(\w+): \{$/gm)].map(([, code]) => code!),
    );
    expect(declared.toSorted()).toEqual([...new Set(declared)].sort());
    expect(declared.toSorted()).toEqual(Object.keys(PROBLEM_KINDS).sort());
    expect(raised.filter((code) => !Object.hasOwn(PROBLEM_KINDS, code))).toEqual([]);
  });
});
