import { describe, expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import { RedStats } from '../../../src/envelope/red-stats.ts';
import { registerHttpMetrics } from '../../../src/instrumentation/http-metrics.ts';
import { routeOf } from '../../support/exchange.ts';

/** Returns the lines of a scrape that start with the name, without HELP and TYPE. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(name));
}

describe('HTTP metrics', () => {
  const routes = [
    routeOf({ index: 0, method: 'GET', pattern: '/v1/accounts/{id}' }),
    routeOf({ index: 1, method: 'POST', pattern: 'unmatched' }),
  ];
  const stats = new RedStats(routes);
  stats.record(0, 200, 3);
  stats.record(0, 200, 7);
  stats.record(0, 404, 7);
  stats.record(0, 422, 20_000);
  stats.record(1, 503, 1);
  stats.inFlight = 2;
  const registry = new Registry();
  registerHttpMetrics(registry, stats, { compressed: 3, full: 2, late: 1 });
  const get = 'method="GET",endpoint="/v1/accounts/{id}"';
  const post = 'method="POST",endpoint="unmatched"';

  test.each([
    [
      'atlas_api_http_requests_total',
      [
        `{${get},status="200"} 2`,
        `{${get},status="404"} 1`,
        `{${get},status="422"} 1`,
        `{${post},status="503"} 1`,
      ],
    ],
    [
      'atlas_api_http_errors_total',
      [`{${get},status_code="404"} 1`, `{${get},status_code="422"} 1`, `{${post},status_code="503"} 1`],
    ],
    ['atlas_api_http_4xx_errors_total', [`{${get}} 2`]],
    ['atlas_api_http_5xx_errors_total', [`{${post}} 1`]],
    ['atlas_api_http_requests_in_flight', [' 2']],
    [
      'atlas_api_http_compressions_total',
      ['{outcome="compressed"} 3', '{outcome="full"} 2', '{outcome="late"} 1'],
    ],
  ])('include %s', async (name, expected) => {
    const text = await registry.metrics();
    expect(linesOf(text, name)).toEqual(expected.map((line) => `${name}${line}`));
    expect(text).toContain(`# TYPE ${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}`);
  });

  test('report durations in seconds as cumulative buckets up to +Inf', async () => {
    const name = 'atlas_api_http_request_duration_seconds';
    const text = await registry.metrics();
    expect(text).toContain(`# TYPE ${name} histogram`);
    const buckets = linesOf(text, `${name}_bucket{${get}`).map((line) =>
      /le="(.+)"} (.+)/.exec(line)!.slice(1),
    );
    expect(buckets).toEqual([
      ['0.005', '1'],
      ['0.01', '3'],
      ...['0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '5', '10'].map((bound) => [bound, '3']),
      ['+Inf', '4'],
    ]);
    expect(linesOf(text, `${name}_sum{${get}`)).toEqual([`${name}_sum{${get}} 20.017`]);
    expect(linesOf(text, `${name}_count{${get}`)).toEqual([`${name}_count{${get}} 4`]);
  });

  test('are read at each scrape', async () => {
    const live = new RedStats(routes);
    const own = new Registry();
    registerHttpMetrics(own, live, {});
    expect(linesOf(await own.metrics(), 'atlas_api_http_requests_total')).toEqual([]);
    live.record(0, 200, 1);
    expect(linesOf(await own.metrics(), 'atlas_api_http_requests_total')).toHaveLength(1);
  });
});
