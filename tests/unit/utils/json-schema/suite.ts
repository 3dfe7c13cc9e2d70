import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findSchemaSuite } from '../../../../infra/schema-suite.ts';
import { isAvailable } from '../../../support/is-available.ts';

/** A schema of the JSON Schema Test Suite, and values with whether they match it. */
export interface SuiteGroup {
  readonly description: string;
  readonly schema: unknown;
  readonly tests: readonly {
    readonly description: string;
    readonly data: unknown;
    readonly valid: boolean;
  }[];
}

/** Keywords that Atlas refuses, and what only warns about schemas that are none. */
const OTHER_FILES = ['dynamicRef', 'refRemote', 'vocabulary', 'format', 'defs', 'unknownKeyword'];
const OPTIONAL_FILES = ['ecmascript-regex', 'float-overflow', 'non-bmp-regex'];
const FORMATS = ['date', 'date-time', 'email', 'uri', 'uuid'];

/**
 * Reads the tests of draft 2020-12 for the keywords and formats that Atlas has, from
 * github.com/json-schema-org/JSON-Schema-Test-Suite. Returns none, and says so, if the suite is not installed.
 */
export function readSuite(): (readonly [file: string, SuiteGroup[]])[] {
  const folder = findSchemaSuite();
  if (!isAvailable('The JSON Schema Test Suite', folder)) return [];
  const files = [
    ...readdirSync(folder).filter(
      (file) => file.endsWith('.json') && !OTHER_FILES.includes(file.slice(0, -5)),
    ),
    ...OPTIONAL_FILES.map((name) => join('optional', `${name}.json`)),
    ...FORMATS.map((name) => join('optional', 'format', `${name}.json`)),
  ];
  return files
    .sort()
    .map((file) => [file, JSON.parse(readFileSync(join(folder, file), 'utf8')) as SuiteGroup[]]);
}
