import { expect, test } from 'bun:test';
import { TIERS } from '../../../src/utils/tier.ts';

test('tiers are listed from the first to be shed to the last', () => {
  expect([...TIERS]).toEqual(['non-critical', 'default', 'critical']);
});
