import { describe, expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import { registerSheddingMetrics } from '../../../src/instrumentation/shedding-metrics.ts';
import type { AdmissionStats } from '../../../src/shedding/admission-stats.ts';
import type { PermitStats } from '../../../src/shedding/permit-source.ts';

const ADMISSION: AdmissionStats = {
  inFlight: 7,
  decisions: [
    { tier: 'critical', decision: 'admitted', count: 11 },
    { tier: 'default', decision: 'permits', count: 12 },
    { tier: 'non-critical', decision: 'deadline', count: 13 },
  ],
  resources: [
    { name: 'database', inFlight: 3, limit: 24, isEngaged: true },
    { name: 'ledger', inFlight: 0, limit: Number.POSITIVE_INFINITY, isEngaged: false },
  ],
  loopLimit: Number.POSITIVE_INFINITY,
  loopDelayMs: 12,
  cutoffLevel: 17,
};
const PERMITS: PermitStats = {
  mode: 'stale',
  cap: 100,
  limit: 25,
  recentWorkers: 2,
  workers: 4,
  clusterHeld: 90,
  clusterInFlight: 80,
  renewals: 1000,
  renewalFailures: 3,
  renewalMsSum: 500,
  commands: 1010,
};

function scrape(admission = ADMISSION, permits = PERMITS): Promise<string[]> {
  const registry = new Registry();
  registerSheddingMetrics(
    registry,
    () => admission,
    () => permits,
  );
  return registry.metrics().then((text) => text.split('\n'));
}

describe('the metrics of load shedding', () => {
  test.each([
    'atlas_shedding_decisions_total{tier="critical",decision="admitted",reason=""} 11',
    'atlas_shedding_decisions_total{tier="default",decision="refused",reason="permits"} 12',
    'atlas_shedding_decisions_total{tier="non-critical",decision="refused",reason="deadline"} 13',
    'atlas_shedding_in_flight 7',
    'atlas_shedding_permits_limit 25',
    'atlas_shedding_permits_cap 100',
    'atlas_shedding_permits_workers 4',
    'atlas_shedding_cluster_held 90',
    'atlas_shedding_cluster_in_flight 80',
    'atlas_shedding_cutoff_level 17',
    'atlas_shedding_loop_delay_seconds 0.012',
    'atlas_shedding_resource_limit{resource="database"} 24',
    'atlas_shedding_resource_in_flight{resource="database"} 3',
    'atlas_shedding_resource_engaged{resource="database"} 1',
    'atlas_shedding_resource_engaged{resource="ledger"} 0',
    'atlas_shedding_renewals_total 1000',
    'atlas_shedding_renewal_failures_total 3',
    'atlas_shedding_renewal_seconds_total 0.5',
    'atlas_shedding_redis_commands_total 1010',
  ])('include %s', async (line) => {
    expect(await scrape()).toContain(line);
  });

  test('have no limit for an unlimited resource, because Infinity does not survive JSON', async () => {
    const limits = (await scrape()).filter((line) => line.startsWith('atlas_shedding_resource_limit{'));
    expect(limits).toEqual(['atlas_shedding_resource_limit{resource="database"} 24']);
  });

  test.each(['static', 'joining', 'learning', 'fresh', 'stale', 'floor'] as const)(
    'report the mode %s as one series of 1 among zeros',
    async (mode) => {
      const lines = await scrape(ADMISSION, { ...PERMITS, mode });
      const modes = lines.filter((line) => line.startsWith('atlas_shedding_mode{'));
      expect(modes).toHaveLength(6);
      expect(modes.filter((line) => line.endsWith(' 1'))).toEqual([`atlas_shedding_mode{mode="${mode}"} 1`]);
    },
  );

  test('read their stats at scrape time', async () => {
    let inFlight = 1;
    const registry = new Registry();
    registerSheddingMetrics(
      registry,
      () => ({ ...ADMISSION, inFlight }),
      () => PERMITS,
    );
    inFlight = 2;
    expect(await registry.metrics()).toContain('atlas_shedding_in_flight 2\n');
  });

  test('are counters if they only grow, else gauges', async () => {
    const types = (await scrape()).filter((line) => line.startsWith('# TYPE'));
    for (const line of types) {
      const [, , name, type] = line.split(' ');
      expect([name, type]).toEqual([name, name!.endsWith('_total') ? 'counter' : 'gauge']);
    }
    expect(types.length).toBeGreaterThan(15);
  });
});
