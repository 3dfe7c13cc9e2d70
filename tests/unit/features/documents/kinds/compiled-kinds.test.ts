import { expect, test } from 'bun:test';
import type { DocumentStats } from '../../../../../src/features/documents/domain.ts';
import { CompiledKinds } from '../../../../../src/features/documents/kinds/compiled-kinds.ts';

const newStats = (): DocumentStats => ({
  validations: { valid: 0, invalid: 0, too_complex: 0 },
  validationMs: 0,
  compilations: 0,
  schemaBytes: 0,
});
const large = { 'x-filler': 'x'.repeat(60_000) };

test('a schema stays compiled until newer ones need its room, those that were used last the longest', () => {
  const stats = newStats();
  const kinds = new CompiledKinds(stats);
  for (let n = 0; n < 17; n++) kinds.add('owner', `k${n}`, 1, large);
  expect(kinds.find('owner', 'k0')?.version).toBe(1);
  kinds.add('owner', 'k17', 1, large);
  expect(kinds.find('owner', 'k0')).not.toBeNull();
  expect(kinds.find('owner', 'k1')).toBeNull();
  for (let n = 0; n < 1000; n++) kinds.add('owner', `more${n}`, 1, large);
  expect(stats.schemaBytes).toBeWithin(900_000, 1_048_577);
  expect(stats.compilations).toBe(1018);
});

test('a new version replaces the former one, and no owner gets the schema of another', () => {
  const stats = newStats();
  const kinds = new CompiledKinds(stats);
  for (let version = 1; version <= 100; version++) kinds.add('owner', 'kind', version, large);
  expect(kinds.find('owner', 'kind')?.version).toBe(100);
  expect(stats.schemaBytes).toBeLessThan(70_000);
  expect(kinds.find('another', 'kind')).toBeNull();
  expect(kinds.find('', 'kind/owner')).toBeNull();
});
