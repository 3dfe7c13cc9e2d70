import { expect, test } from 'bun:test';
import { aggregate, type HealthStatus } from '../../../../../src/features/system/health/domain.ts';

const found = (status: HealthStatus, required = true) =>
  ({ name: 'x', mode: 'connected', status, latencyMs: 1, required }) as const;

test.each<[string, ReturnType<typeof found>[], HealthStatus]>([
  ['nothing is needed', [], 'healthy'],
  ['all are healthy', [found('healthy'), found('healthy', false)], 'healthy'],
  ['a required one is slow', [found('degraded'), found('healthy')], 'degraded'],
  ['another one is slow', [found('healthy'), found('degraded', false)], 'degraded'],
  ['an optional one is unavailable', [found('healthy'), found('unhealthy', false)], 'degraded'],
  ['a required one is unavailable', [found('unhealthy'), found('healthy', false)], 'unhealthy'],
  ['all are unavailable', [found('unhealthy'), found('unhealthy', false)], 'unhealthy'],
])('the overall status is right when %s', (_, dependencies, expected) => {
  expect(aggregate(dependencies)).toBe(expected);
});
