import { expect, test } from 'bun:test';
import { reportRunning } from '../../../src/cli/running-atlas.ts';
import { loadConfig } from '../../../src/config.ts';
import { clusterStatus } from '../../support/cluster-status.ts';

const configOf = (settings: Record<string, string> = {}) => loadConfig(settings, 'no such file').config;
const TWO = { API_WORKERS: process.platform === 'linux' ? '2' : '1' };
const ALONE = [{ name: 'postgresql', mode: 'embedded', status: 'healthy' }] as const;
const workers = [{}, {}].slice(0, Number(TWO.API_WORKERS));

test('where nothing runs the stats are those that the settings would start', () => {
  const config = configOf({ ...TWO, LOAD_SHEDDING_MAX_CONCURRENT: '30' });
  expect(reportRunning(config, { status: null, reasons: null, dependencies: null })).toEqual({
    heading: 'Nothing runs on port 8000; this is what these settings would start',
    workers: workers.length,
    cap: 30,
    usesRedis: false,
    problems: [],
    notes: [],
  });
});

test('what answers on the port without being an Atlas of this folder is a problem', () => {
  const { heading, problems } = reportRunning(configOf(), { status: null, reasons: [], dependencies: null });
  expect(heading).toStartWith('No Atlas of .atlas runs on port 8000;');
  expect(problems.join()).toContain('Something else answers on port 8000.');
});

test('what runs as it is set has no problem and no note', () => {
  const status = clusterStatus(workers);
  const report = reportRunning(configOf(TWO), { status, reasons: [], dependencies: ALONE });
  expect(report.heading).toBe(`Atlas runs on port 8000 (supervisor 99, ${workers.length} workers, cap 1000)`);
  expect([report.problems, report.notes]).toEqual([[], []]);
});

test('what runs is told with its own stats, and each that these settings would change is noted', () => {
  const status = clusterStatus([{}, {}, {}], { cap: 500 });
  const config = configOf({ ...TWO, REDIS_URL: 'redis://127.0.0.1:6379' });
  const report = reportRunning(config, { status, reasons: [], dependencies: ALONE });
  expect(report).toMatchObject({ workers: 3, cap: 500, usesRedis: false, problems: [] });
  expect(report.notes).toEqual([
    expect.stringContaining(`workers: 3 where Atlas runs, ${workers.length} by`),
    expect.stringContaining('cap: 500 where Atlas runs, 1000 by'),
    expect.stringContaining('Redis: not in use where Atlas runs, in use by'),
  ]);
});

test('a slot that is being replaced has two workers and is one', () => {
  const status = clusterStatus(workers);
  const replaced = {
    ...status,
    slots: [...status.slots, { ...status.slots[0]!, state: 'draining' as const }],
  };
  expect(reportRunning(configOf(TWO), { status: replaced, reasons: [], dependencies: ALONE }).notes).toEqual(
    [],
  );
});

test('an Atlas that is not ready, does not answer, or is cut off from Redis has a problem', () => {
  const config = configOf({ ...TWO, REDIS_URL: 'redis://127.0.0.1:6379' });
  const fresh = clusterStatus(workers.map(() => ({ mode: 'fresh' })));
  const problemsOf = (reasons: string[] | null, status = fresh) =>
    reportRunning(config, { status, reasons, dependencies: null }).problems;
  expect(problemsOf([])).toEqual([]);
  expect(problemsOf(['postgresql does not answer', 'draining'])).toEqual([
    'Atlas is not ready: postgresql does not answer, draining.',
  ]);
  expect(problemsOf(null)).toEqual([expect.stringContaining('no worker answers')]);
  const floor = clusterStatus([{ mode: 'fresh' }, { mode: 'floor' }]);
  expect(problemsOf([], floor)).toEqual([expect.stringContaining('1 of 2 workers are cut off from Redis')]);
});

test('what runs and cannot use Kafka or S3 has a problem, whatever the settings of this shell', () => {
  const status = clusterStatus(workers);
  const [healthy, unhealthy] = ['healthy', 'unhealthy'] as const;
  const reportOf = (kafka: typeof healthy | typeof unhealthy, s3: typeof kafka, settings = {}) =>
    reportRunning(configOf({ ...TWO, ...settings }), {
      status,
      reasons: [],
      dependencies: [
        ...ALONE,
        { name: 'kafka', mode: 'connected', status: kafka },
        { name: 's3', mode: 'connected', status: s3 },
      ],
    });
  const settings = {
    KAFKA_BROKERS: 'a:1',
    S3_ENDPOINT: 'http://a',
    S3_BUCKET: 'atlas',
    S3_ACCESS_KEY_ID: 'a',
    S3_SECRET_ACCESS_KEY: 'b',
  };
  expect(reportOf(healthy, healthy, settings)).toMatchObject({ problems: [], notes: [] });
  expect(reportOf(unhealthy, healthy, settings).problems).toEqual([
    expect.stringContaining('Kafka does not'),
  ]);
  expect(reportOf(healthy, unhealthy, settings).problems).toEqual([expect.stringContaining('S3 does not')]);
  const { problems, notes } = reportOf(unhealthy, unhealthy);
  expect(problems).toHaveLength(2);
  expect(reportOf(healthy, healthy, { ...settings, DATABASE_URL: 'postgres://a' }).notes).toEqual([
    expect.stringContaining('PostgreSQL: embedded where Atlas runs, connected by'),
  ]);
  expect(notes).toEqual([
    expect.stringContaining('Kafka: in use where Atlas runs, not in use by'),
    expect.stringContaining('S3: in use where Atlas runs, not in use by'),
  ]);
});
