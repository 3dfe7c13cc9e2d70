import { expect, test } from 'bun:test';
import { startupBanner } from '../../../src/cli/startup-banner.ts';
import { loadConfig } from '../../../src/config.ts';

function bannerOf(
  settings: Record<string, string>,
  modes: readonly string[] = [],
  token: string | null = null,
) {
  const { config } = loadConfig(settings, 'no such file');
  return startupBanner({ config, databaseMode: 'connected', port: 8000, token, modes });
}

test('with Redis the limit is shown as shared, unless workers cannot reach it', () => {
  const settings = { REDIS_URL: 'redis://127.0.0.1:6379', LOAD_SHEDDING_MAX_CONCURRENT: '20' };
  expect(bannerOf(settings, ['fresh', 'fresh'])).toContain('20 requests in flight, shared through Redis');
  const isolated = bannerOf(settings, ['fresh', 'floor']);
  expect(isolated).toContain('Redis is unavailable, so each worker uses a fixed share');
  expect(isolated).not.toContain('shared through Redis');
  expect(bannerOf({}, ['static'])).toContain('split equally among the workers');
});

test.if(process.platform === 'linux')('a start with fewer workers than requested says why', () => {
  const settings = { API_WORKERS: '5', LOAD_SHEDDING_MAX_CONCURRENT: '2' };
  const line = /^ {2}workers .*$/m;
  expect(line.exec(bannerOf(settings))![0]).toBe(
    '  workers      2 instead of 5 (API_WORKERS), because LOAD_SHEDDING_MAX_CONCURRENT is 2',
  );
  expect(line.exec(bannerOf({ API_WORKERS: '5' }))![0]).toBe('  workers      5');
});

test('the printed URL is reachable, even if Atlas listens on all interfaces', () => {
  expect(bannerOf({ API_HOST: '0.0.0.0' })).toContain('is listening on http://127.0.0.1:8000\n');
  expect(bannerOf({ API_HOST: '::' })).toContain('is listening on http://[::1]:8000\n');
});

test('the banner shows where files are stored, without the S3 keys', () => {
  expect(bannerOf({ ATLAS_DATA_DIR: '/data' })).toContain('files        in /data/objects\n');
  const keys = { S3_ACCESS_KEY_ID: 'an-id', S3_SECRET_ACCESS_KEY: 'a-secret' };
  const onS3 = bannerOf({ S3_ENDPOINT: 'http://127.0.0.1:9000', S3_BUCKET: 'atlas', ...keys });
  expect(onS3).toContain('files        in S3 (http://127.0.0.1:9000), bucket atlas\n');
  expect(onS3).not.toMatch(/an-id|a-secret/);
  const withPassword = bannerOf({ S3_ENDPOINT: 'http://me:hunter2@s3.test', S3_BUCKET: 'atlas', ...keys });
  expect(withPassword).toContain('in S3 (http://********:********@s3.test/), bucket atlas\n');
});

test('a new key is shown, in production without the demo accounts', () => {
  expect(bannerOf({}, [], 'atlas_live_x')).toContain('/v1/transfers');
  const production = bannerOf({ ENVIRONMENT: 'production' }, [], 'atlas_live_x');
  expect(production).toContain("/v1/ping -H 'Authorization: Bearer atlas_live_x'");
  expect(production).not.toContain('Alice');
  expect(bannerOf({})).not.toContain('shown only once');
});
