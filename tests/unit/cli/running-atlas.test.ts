import { expect, test } from 'bun:test';
import { plural } from '../../../src/cli/output.ts';
import { reportRunning } from '../../../src/cli/running-atlas.ts';
import { loadConfig } from '../../../src/config.ts';
import { clusterStatus } from '../../support/cluster-status.ts';

const configOf = (settings: Record<string, string> = {}) => loadConfig(settings, 'no such file').config;
const TWO = { API_WORKERS: process.platform === 'linux' ? '2' : '1' };
const ALONE = [{ name: 'postgresql', mode: 'embedded', status: 'healthy' }] as const;
const workers = [{}, {}].slice(0, Number(TWO.API_WORKERS));

test('without a running Atlas, the report shows what the settings would start', () => {
  const config = configOf({ ...TWO, LOAD_SHEDDING_MAX_CONCURRENT: '30' });
  expect(reportRunning(config, { status: null, reasons: null, dependencies: null })).toEqual({
    heading: 'Atlas is not running on port 8000. These settings would start:',
    workers: workers.length,
    cap: 30,
    usesRedis: false,
    problems: [],
    notes: [],
  });
});

test('anything else listening on the port is a problem', () => {
  const { heading, problems } = reportRunning(configOf(), { status: null, reasons: [], dependencies: null });
  expect(heading).toStartWith('The Atlas of .atlas is not running on port 8000.');
  expect(problems.join()).toContain('Something else is listening on port 8000.');
});

test('an Atlas that runs as configured has no problems and no notes', () => {
  const status = clusterStatus(workers);
  const report = reportRunning(configOf(TWO), { status, reasons: [], dependencies: ALONE });
  expect(report.heading).toBe(
    `Atlas is running on port 8000 (supervisor 99, ${plural(workers.length, 'worker')}, cap 1000)`,
  );
  expect([report.problems, report.notes]).toEqual([[], []]);
});

test('the report shows the running Atlas, with a note for each value these settings would change', () => {
  const status = clusterStatus([{}, {}, {}], { cap: 500 });
  const config = configOf({ ...TWO, REDIS_URL: 'redis://127.0.0.1:6379' });
  const report = reportRunning(config, { status, reasons: [], dependencies: ALONE });
  expect(report).toMatchObject({ workers: 3, cap: 500, usesRedis: false, problems: [] });
  expect(report.notes).toEqual([
    expect.stringContaining(`workers: 3 in the running Atlas, ${workers.length} in`),
    expect.stringContaining('cap: 500 in the running Atlas, 1000 in'),
    expect.stringContaining('Redis: not in use in the running Atlas, in use in'),
  ]);
});

test('a slot with a worker being replaced counts once', () => {
  const status = clusterStatus(workers);
  const replaced = {
    ...status,
    slots: [...status.slots, { ...status.slots[0]!, state: 'draining' as const }],
  };
  expect(reportRunning(configOf(TWO), { status: replaced, reasons: [], dependencies: ALONE }).notes).toEqual(
    [],
  );
});

test('an Atlas that is not ready, does not respond, or cannot reach Redis has a problem', () => {
  const config = configOf({ ...TWO, REDIS_URL: 'redis://127.0.0.1:6379' });
  const fresh = clusterStatus(workers.map(() => ({ mode: 'fresh' })));
  const problemsOf = (reasons: string[] | null, status = fresh) =>
    reportRunning(config, { status, reasons, dependencies: null }).problems;
  expect(problemsOf([])).toEqual([]);
  expect(problemsOf(['postgresql does not answer', 'draining'])).toEqual([
    'Atlas is not ready: postgresql does not answer, draining.',
  ]);
  expect(problemsOf(null)).toEqual([expect.stringContaining('no worker responded')]);
  const floor = clusterStatus([{ mode: 'fresh' }, { mode: 'floor' }]);
  expect(problemsOf([], floor)).toEqual([expect.stringContaining('1 of 2 workers cannot reach Redis')]);
});

test('an Atlas that cannot use Kafka or S3 has a problem, whatever the settings of this shell', () => {
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
    expect.stringContaining('cannot reach Kafka'),
  ]);
  expect(reportOf(healthy, unhealthy, settings).problems).toEqual([expect.stringContaining('cannot use S3')]);
  const { problems, notes } = reportOf(unhealthy, unhealthy);
  expect(problems).toHaveLength(2);
  expect(reportOf(healthy, healthy, { ...settings, DATABASE_URL: 'postgres://a' }).notes).toEqual([
    expect.stringContaining('PostgreSQL: embedded in the running Atlas, connected in'),
  ]);
  expect(notes).toEqual([
    expect.stringContaining('Kafka: in use in the running Atlas, not in use in'),
    expect.stringContaining('S3: in use in the running Atlas, not in use in'),
  ]);
});
