import { expect, test } from 'bun:test';
import { createMetrics } from '../../../src/instrumentation/metrics.ts';

test('the registry has process metrics, and none that walks the whole heap at each scrape', async () => {
  const text = await createMetrics().metrics();
  expect(text).toMatch(/^atlas_process_\w*resident_memory_bytes \d/m);
  expect(text).not.toContain('heap_space');
});
