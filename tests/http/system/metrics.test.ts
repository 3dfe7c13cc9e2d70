import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { openAccount, postTransfer } from '../../support/ledger-steps.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

interface Sample {
  readonly name: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}

async function scrape(atlas: TestApp): Promise<Sample[]> {
  const response = await callWithoutKey(atlas, 'GET', '/metrics');
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toStartWith('text/plain; version=0.0.4');
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)!;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
    return { name: name!, labels: Object.fromEntries(pairs), value: Number(value) };
  });
}

const find = (samples: Sample[], name: string, labels: Record<string, string> = {}) =>
  samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );

async function withApp(work: (atlas: TestApp) => Promise<void>): Promise<void> {
  const atlas = await startTestApp();
  await work(atlas);
  await atlas.close();
}

test('requests, errors, and durations are counted under the pattern of their route', () =>
  withApp(async (atlas) => {
    await atlas.call('GET', '/v1/ping');
    await atlas.call('GET', '/v1/ping');
    await callWithoutKey(atlas, 'GET', '/v1/ping');
    await atlas.call('GET', `/v1/accounts/${crypto.randomUUID()}`);
    await atlas.sql`ALTER TABLE accounts RENAME COLUMN ledger TO elsewhere`;
    await atlas.call('GET', '/v1/accounts');
    const samples = await scrape(atlas);
    const ping = { method: 'GET', endpoint: '/v1/ping' };
    const account = { method: 'GET', endpoint: '/v1/accounts/{id}' };
    const accounts = { method: 'GET', endpoint: '/v1/accounts' };
    const values = (name: string): object[] =>
      find(samples, `atlas_api_http_${name}`).map(({ labels, value }) => ({ ...labels, value }));
    expect(values('requests_total')).toEqual([
      { ...ping, status: '200', value: 2 },
      { ...ping, status: '401', value: 1 },
      { ...accounts, status: '500', value: 1 },
      { ...account, status: '404', value: 1 },
    ]);
    expect(values('errors_total')).toEqual([
      { ...ping, status_code: '401', value: 1 },
      { ...accounts, status_code: '500', value: 1 },
      { ...account, status_code: '404', value: 1 },
    ]);
    expect(values('4xx_errors_total')).toEqual([
      { ...ping, value: 1 },
      { ...account, value: 1 },
    ]);
    expect(values('5xx_errors_total')).toEqual([{ ...accounts, value: 1 }]);
    expect(values('request_duration_seconds_count')).toEqual([
      { ...ping, value: 3 },
      { ...accounts, value: 1 },
      { ...account, value: 1 },
    ]);
    // The scrape itself is the request in flight.
    expect(values('requests_in_flight')).toEqual([{ value: 1 }]);
  }));

test('durations have the documented buckets, cumulative and complete', () =>
  withApp(async (atlas) => {
    for (let i = 0; i < 5; i++) await atlas.call('GET', '/v1/ping');
    const samples = await scrape(atlas);
    const ping = { endpoint: '/v1/ping' };
    const buckets = find(samples, 'atlas_api_http_request_duration_seconds_bucket', ping);
    expect(buckets.map(({ labels }) => labels.le)).toEqual([
      '0.005',
      '0.01',
      '0.025',
      '0.05',
      '0.1',
      '0.25',
      '0.5',
      '1',
      '2.5',
      '5',
      '10',
      '+Inf',
    ]);
    const counts = buckets.map(({ value }) => value);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(counts.at(-1)).toBe(5);
    const [sum] = find(samples, 'atlas_api_http_request_duration_seconds_sum', ping);
    expect(sum!.value).toBeGreaterThan(0);
  }));

test('the number of labels is bounded, whatever paths and methods are sent', () =>
  withApp(async (atlas) => {
    const patterns = new Set([...atlas.routes.map(({ pattern }) => pattern), 'unmatched']);
    const send = async (round: string) => {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND']) {
        for (const path of [
          '/',
          `/${round}`,
          `/v1/accounts/${round}`,
          `/v1/${round}/x`,
          `/problems/${round}`,
          `/v1/%61${round}`,
        ]) {
          await callWithoutKey(atlas, method, path);
        }
      }
    };
    await send('a');
    await scrape(atlas);
    const before = (await scrape(atlas)).length;
    for (let i = 0; i < 20; i++) await send(crypto.randomUUID());
    const samples = await scrape(atlas);
    expect(samples.length).toBe(before);
    for (const { labels } of samples) {
      if (labels.endpoint !== undefined) expect(patterns.has(labels.endpoint)).toBe(true);
    }
    expect(
      find(samples, 'atlas_api_http_requests_total', { endpoint: 'unmatched', method: 'OTHER' }),
    ).not.toEqual([]);
    expect(JSON.stringify(samples)).not.toContain('PROPFIND');
  }));

test('load shedding, the ledger, and the database have metrics', () =>
  withApp(async (atlas) => {
    const [from, to] = [await openAccount(atlas), await openAccount(atlas)];
    await postTransfer(atlas, { debitAccountId: from.id, creditAccountId: to.id, amount: 1 });
    const samples = await scrape(atlas);
    const one = (name: string, labels = {}) => find(samples, name, labels).map(({ value }) => value);
    expect(one('atlas_shedding_in_flight')).toEqual([0]);
    expect(one('atlas_shedding_permits_limit')).toEqual([1000]);
    expect(one('atlas_shedding_permits_cap')).toEqual([1000]);
    expect(one('atlas_shedding_mode', { mode: 'static' })).toEqual([1]);
    const admitted = (tier: string) => one('atlas_shedding_decisions_total', { decision: 'admitted', tier });
    expect([admitted('critical'), admitted('default'), admitted('non-critical')]).toEqual([[1], [2], [0]]);
    expect(one('atlas_shedding_decisions_total', { decision: 'refused' }).every((n) => n === 0)).toBe(true);
    expect(one('atlas_shedding_resource_engaged', { resource: 'ledger' })).toEqual([0]);
    expect(one('atlas_ledger_batches_total')).toEqual([1]);
    expect(one('atlas_ledger_items_total')).toEqual([1]);
    expect(one('atlas_ledger_waiting_items')).toEqual([0]);
    expect(one('atlas_database_connections_max')).toEqual([6]);
    expect(one('atlas_database_queries_in_flight')).toEqual([0]);
    expect(one('atlas_database_errors_total')).toHaveLength(1);
    expect(one('atlas_database_query_duration_seconds_count')[0]).toBeGreaterThan(3);
    const memory = samples.find(({ name }) => /^atlas_process_.*resident_memory_bytes$/.test(name));
    expect(memory!.value).toBeGreaterThan(0);
  }));

test('metrics can be disabled', async () => {
  const atlas = await startTestApp({ PROMETHEUS_ENABLED: 'false' });
  expect((await callWithoutKey(atlas, 'GET', '/metrics')).status).toBe(404);
  await atlas.close();
});
