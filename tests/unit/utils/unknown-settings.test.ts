import { describe, expect, test } from 'bun:test';
import { describeSettings } from '../../../src/config.ts';
import { describeUnknown, findUnknownSettings } from '../../../src/utils/unknown-settings.ts';

const SETTINGS = describeSettings().map(({ name }) => name);
const NONE = { environment: [], file: [], unassigned: [] };
const ofFile = (...file: string[]) => findUnknownSettings({ ...NONE, file }, SETTINGS);
const ofEnvironment = (...environment: string[]) => findUnknownSettings({ ...NONE, environment }, SETTINGS);

describe('a misspelled setting', () => {
  test.each([
    ['DATABSE_URL', 'DATABASE_URL'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['REDIS_URI', 'REDIS_URL'],
    ['KAFKA_BROKER', 'KAFKA_BROKERS'],
    ['LOG_LEVLE', 'LOG_LEVEL'],
    ['log_level', 'LOG_LEVEL'],
    ['API-PORT', 'API_PORT'],
    ['ENVIROMENT', 'ENVIRONMENT'],
    ['HTTP_TIMOUT', 'HTTP_TIMEOUT'],
    ['WEBHOOK_ALLOWED_HOSTS', 'WEBHOOKS_ALLOWED_HOSTS'],
    ['FILE_MAX_BYTES', 'FILES_MAX_BYTES'],
    ['ATLAS_DATADIR', 'ATLAS_DATA_DIR'],
    ['ATLAS_LOG_LEVEL', 'LOG_LEVEL'],
    ['ATLAS_PORT', 'API_PORT'],
    ['ATLAS_WORKERS', 'API_WORKERS'],
    ['ATLAS_DATABASE_URL', 'DATABASE_URL'],
  ])('%s is reported with the one that was meant, %s, wherever it is set', (name, meant) => {
    expect(ofFile(name)).toEqual([{ name, source: '.env', meant }]);
    expect(ofEnvironment(name)).toEqual([{ name, source: 'environment', meant }]);
  });
});

describe('a name that starts like a setting', () => {
  test('is reported in .env, which belongs to Atlas, even if it is similar to none', () => {
    expect(ofFile('DATABASE_HOST', 'REDIS_PASSWORD', 'LOAD_SHEDDING_LIMIT')).toEqual([
      { name: 'DATABASE_HOST', source: '.env', meant: null },
      { name: 'REDIS_PASSWORD', source: '.env', meant: null },
      { name: 'LOAD_SHEDDING_LIMIT', source: '.env', meant: null },
    ]);
  });

  test('is not reported in the environment unless it is similar: other programs have settings too', () => {
    const others = [
      ...['DATABASE_HOST', 'DATABASE_NAME', 'DATABASE_URL_UNPOOLED', 'TEST_DATABASE_URL', 'REDIS_HOST'],
      ...['REDIS_PORT', 'REDIS_SERVICE_HOST', 'REDIS_PORT_6379_TCP_ADDR', 'KAFKA_HEAP_OPTS', 'KAFKA_HOME'],
      ...[
        'API_ROOT',
        'API_PATH',
        'API_KEY',
        'API_URL',
        'API_TOKEN',
        'HTTP_PROXY',
        'http_proxy',
        'HTTPS_PROXY',
        'NO_PROXY',
      ],
      ...['LOG_DIR', 'LOG_FILE', 'LOGNAME', 'S3_REGION_NAME', 'OTEL_SERVICE_NAME', 'OTEL_TRACES_SAMPLER'],
      ...['OTEL_EXPORTER_OTLP_HEADERS', 'PROMETHEUS_MULTIPROC_DIR', 'ATLAS_KEY', 'ATLAS_REQUIRE_SERVICES'],
      ...['ATLAS_SERVICE_HOST', 'ATLAS_PORT_8000_TCP', 'ATLAS_TOKEN', 'RETRY_COUNT', 'DOCS_URL'],
      ...[
        'PGHOST',
        'PGDATABASE',
        'PATH',
        'HOME',
        'NODE_ENV',
        'ENV',
        'npm_config_loglevel',
        'npm_lifecycle_event',
      ],
      ...['AWS_S3_BUCKET', 'POSTGRES_PASSWORD', 'DEBUG', 'PORT', 'HOST', 'HOSTNAME', 'BUN_INSTALL', '_'],
    ];
    expect(ofEnvironment(...others)).toEqual([]);
  });

  test('is not reported in the environment if the setting it is similar to is set: it is of another program', () => {
    expect(ofEnvironment('DATABASE_URI', 'DATABASE_URL')).toEqual([]);
    expect(
      findUnknownSettings({ ...NONE, environment: ['DATABASE_URI'], file: ['DATABASE_URL'] }, SETTINGS),
    ).toEqual([]);
    expect(ofFile('DATABASE_URI', 'DATABASE_URL')).toHaveLength(1);
  });
});

test('a setting is never reported, nor a name that has nothing to do with Atlas', () => {
  expect(ofFile(...SETTINGS, 'POSTGRES_PASSWORD', 'COMPOSE_PROJECT_NAME')).toEqual([]);
  expect(ofEnvironment(...SETTINGS)).toEqual([]);
});

test('a setting that is not followed by "=" is reported', () => {
  expect(findUnknownSettings({ ...NONE, unassigned: ['API_PORT', 'hello'] }, SETTINGS)).toEqual([
    { name: 'API_PORT', source: '.env', meant: 'API_PORT' },
  ]);
});

test('the number of reports is bounded', () => {
  expect(ofFile(...Array.from({ length: 1000 }, (_, i) => `DATABASE_X${i}`))).toHaveLength(20);
});

test('the text says where the name is, and what to do', () => {
  expect(describeUnknown({ name: 'API_PROT', source: '.env', meant: 'API_PORT' })).toBe(
    'API_PROT (from .env) is not a setting of Atlas and has no effect. Did you mean API_PORT?',
  );
  expect(describeUnknown({ name: 'DATABASE_HOST', source: 'environment', meant: null })).toBe(
    'DATABASE_HOST (from the environment) is not a setting of Atlas and has no effect. List the settings with: npm run -s atlas -- config',
  );
  expect(describeUnknown({ name: 'API_PORT', source: '.env', meant: 'API_PORT' })).toContain(
    'Write API_PORT=VALUE.',
  );
});
