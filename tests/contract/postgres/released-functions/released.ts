import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SqlFunction } from '../../../../src/adapters/postgres/sql-functions.ts';

/** A function as it was frozen. */
export interface ReleasedFunction {
  readonly number: number;
  readonly sha256: string;
}

const FILE = join(import.meta.dir, 'released.json');

export function readReleased(): Record<string, ReleasedFunction> {
  return JSON.parse(readFileSync(FILE, 'utf8'));
}

export function writeReleased(functions: Readonly<Record<string, ReleasedFunction>>): void {
  writeFileSync(FILE, `${JSON.stringify(functions, null, 2)}\n`);
}

export function toReleased({ number, script }: SqlFunction): ReleasedFunction {
  return { number, sha256: createHash('sha256').update(script).digest('hex') };
}

/** Whether databases that have the released function would refuse this one: another text, and no higher number. */
export function isRefused(released: ReleasedFunction | undefined, wanted: ReleasedFunction): boolean {
  if (released === undefined || wanted.number > released.number) return false;
  return wanted.number < released.number || wanted.sha256 !== released.sha256;
}
