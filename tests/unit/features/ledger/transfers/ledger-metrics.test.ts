import { expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import { registerLedgerMetrics } from '../../../../../src/features/ledger/transfers/ledger-metrics.ts';

test('ledger metrics count batches and waiting transfers', async () => {
  const registry = new Registry();
  const posted = { batches: 2, items: 30, waitingItems: 4, retries: 1, refused: 6, displaced: 5 };
  registerLedgerMetrics(registry, () => ({ ...posted, forwarded: 7, fallbacks: 8 }));
  const lines = (await registry.metrics()).split('\n');
  expect(lines.filter((line) => line.startsWith('atlas_ledger'))).toEqual([
    'atlas_ledger_batches_total 2',
    'atlas_ledger_items_total 30',
    'atlas_ledger_waiting_items 4',
    'atlas_ledger_batch_retries_total 1',
    'atlas_ledger_queue_refusals_total 6',
    'atlas_ledger_queue_displaced_total 5',
    'atlas_ledger_forwarded_total 7',
    'atlas_ledger_forward_fallbacks_total 8',
  ]);
});
