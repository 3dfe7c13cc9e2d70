import { expect, test } from 'bun:test';
import { startupBanner } from '../../../src/cli/startup-banner.ts';
import { loadConfig } from '../../../src/config.ts';

function announced(
  settings: Record<string, string>,
  modes: readonly string[] = [],
  token: string | null = null,
) {
  const { config } = loadConfig(settings, 'no such file');
  return startupBanner({ config, databaseMode: 'connected', port: 8000, token, modes });
}

test('a start on Redis says that the limit is shared, unless the workers are cut off from it', () => {
  const settings = { REDIS_URL: 'redis://127.0.0.1:6379', LOAD_SHEDDING_MAX_CONCURRENT: '20' };
  expect(announced(settings, ['fresh', 'fresh'])).toContain('20 requests in flight, shared through Redis');
  const cutOff = announced(settings, ['fresh', 'floor']);
  expect(cutOff).toContain('Redis does not answer, so each worker keeps to its part');
  expect(cutOff).not.toContain('shared through Redis');
  expect(announced({}, ['static'])).toContain('in equal shares of the workers');
});

test.if(process.platform === 'linux')('a start with fewer workers than were asked for says why', () => {
  const settings = { API_WORKERS: '5', LOAD_SHEDDING_MAX_CONCURRENT: '2' };
  const line = /^ {2}workers .*$/m;
  expect(line.exec(announced(settings))![0]).toBe(
    '  workers      2, not 5 (of API_WORKERS): each needs one of the 2 requests in flight',
  );
  expect(line.exec(announced({ API_WORKERS: '5' }))![0]).toBe('  workers      5');
});

test('the address that is told can be asked, also where Atlas listens on every interface', () => {
  expect(announced({ API_HOST: '0.0.0.0' })).toContain('serves on http://127.0.0.1:8000\n');
  expect(announced({ API_HOST: '::' })).toContain('serves on http://[::1]:8000\n');
});

test('a start says where files are, and tells no key of S3', () => {
  expect(announced({ ATLAS_DATA_DIR: '/data' })).toContain('files        in /data/objects\n');
  const keys = { S3_ACCESS_KEY_ID: 'an-id', S3_SECRET_ACCESS_KEY: 'a-secret' };
  const onS3 = announced({ S3_ENDPOINT: 'http://127.0.0.1:9000', S3_BUCKET: 'atlas', ...keys });
  expect(onS3).toContain('files        in S3 (http://127.0.0.1:9000), bucket atlas\n');
  expect(onS3).not.toMatch(/an-id|a-secret/);
});

test('the key is told where there is a new one, and in production without demo accounts', () => {
  expect(announced({}, [], 'atlas_live_x')).toContain('/v1/transfers');
  const production = announced({ ENVIRONMENT: 'production' }, [], 'atlas_live_x');
  expect(production).toContain("/v1/ping -H 'Authorization: Bearer atlas_live_x'");
  expect(production).not.toContain('Alice');
  expect(announced({})).not.toContain('shown this once');
});
