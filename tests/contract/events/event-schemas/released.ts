import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Schema } from './compatibility.ts';

const pathOf = (type: string) => join(import.meta.dir, `${type}.json`);

/** The released event types, which consumers depend on. */
export function releasedTypes(): string[] {
  return readdirSync(import.meta.dir)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}

export function readReleased(type: string): Schema {
  return JSON.parse(readFileSync(pathOf(type), 'utf8'));
}

export function writeReleased(type: string, schema: unknown): void {
  writeFileSync(pathOf(type), `${JSON.stringify(schema, null, 2)}\n`);
}
