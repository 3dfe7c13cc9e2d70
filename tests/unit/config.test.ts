import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, describeSettings, environmentOf, loadConfig } from '../../src/config.ts';

const NO_FILE = 'no such file';
const load = (environment: Record<string, string | undefined>) => loadConfig(environment, NO_FILE);

function errorOf(environment: Record<string, string>): string {
  try {
    load(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('The settings were accepted.');
}

/** Loads settings with the given `.env`, in a directory that is removed afterwards. */
function loadWithFile(text: string, environment: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-config-'));
  try {
    writeFileSync(join(folder, '.env'), text);
    return loadConfig(environment, join(folder, '.env'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('settings', () => {
  test('have their defaults if nothing is set', () => {
    const { config, sources } = load({});
    expect(config).toMatchObject({
      ENVIRONMENT: 'development',
      API_HOST: '127.0.0.1',
      API_PORT: 8000,
      HTTP_TIMEOUT: 30,
      CORS_ALLOWED_ORIGINS: [],
      DATABASE_POOL_SIZE: 100,
    });
    expect(config.DATABASE_URL).toBeUndefined();
    expect(new Set(Object.values(sources))).toEqual(new Set(['default']));
  });

  test('of S3 are required together', () => {
    const endpoint = { S3_ENDPOINT: 'http://127.0.0.1:9000' };
    const error = errorOf({ ...endpoint, S3_BUCKET: 'atlas' });
    expect(error).toContain('S3_ACCESS_KEY_ID is not set');
    expect(error).toContain('S3_SECRET_ACCESS_KEY is not set');
    expect(error).not.toContain('S3_BUCKET');
    const rest = { S3_BUCKET: 'atlas', S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 's' };
    expect(load({ ...endpoint, ...rest }).config).toMatchObject({ ...endpoint, ...rest });
    // A bucket without an endpoint is valid: unsetting the endpoint alone turns S3 off.
    expect(load(rest).config.S3_ENDPOINT).toBeUndefined();
  });

  test('are parsed as numbers, flags, and lists', () => {
    const { config } = load({
      API_PORT: '0',
      HTTP_TIMEOUT: '0.5',
      DOCS_ENABLED: 'false',
      CORS_ALLOWED_ORIGINS: 'https://a.example, https://b.example ,',
      DATABASE_URL: 'postgresql://user@host/db',
    });
    expect(config).toMatchObject({
      API_PORT: 0,
      HTTP_TIMEOUT: 0.5,
      DOCS_ENABLED: false,
      CORS_ALLOWED_ORIGINS: ['https://a.example', 'https://b.example'],
      DATABASE_URL: 'postgresql://user@host/db',
    });
  });

  test('that are empty count as unset', () => {
    const { config, sources } = load({ API_PORT: '', DATABASE_URL: '', LOG_LEVEL: undefined });
    expect(config.API_PORT).toBe(8000);
    expect(config.DATABASE_URL).toBeUndefined();
    expect(sources.API_PORT).toBe('default');
  });

  test('come from the environment first, then from .env, and record their source', () => {
    const { config, sources } = loadWithFile('API_PORT=9000\nLOG_LEVEL="warn"\n# HTTP_TIMEOUT=1\n', {
      API_PORT: '9001',
    });
    expect([config.API_PORT, config.LOG_LEVEL, config.HTTP_TIMEOUT]).toEqual([9001, 'warn', 30]);
    expect([sources.API_PORT, sources.LOG_LEVEL, sources.HTTP_TIMEOUT]).toEqual([
      'environment',
      '.env',
      'default',
    ]);
  });

  test('ignore unknown variables in the environment', () => {
    expect(load({ PATH: '/bin', UNKNOWN: 'x' }).config).not.toHaveProperty('UNKNOWN');
  });
});

describe('an invalid value', () => {
  test.each([
    ['API_PORT', '65536'],
    ['API_PORT', '8000.5'],
    ['API_PORT', 'http'],
    ['API_PORT', '-1'],
    ['HTTP_TIMEOUT', '0'],
    ['HTTP_TIMEOUT', '241'],
    ['HTTP_TIMEOUT', 'NaN'],
    ['HTTP_TIMEOUT', 'Infinity'],
    ['DOCS_ENABLED', 'maybe'],
    ['ENVIRONMENT', 'prod'],
    ['LOG_LEVEL', 'verbose'],
    ['LOAD_SHEDDING_MAX_CONCURRENT', '0'],
  ] as const)('is rejected: %s=%s', (name, value) => {
    const message = errorOf({ [name]: value });
    expect(message).toContain(`${name}=${JSON.stringify(value)} (from the environment)`);
    expect(message).toContain('why:');
    const { allowed } = describeSettings().find((setting) => setting.name === name)!;
    expect(message).toContain(`do:   use ${allowed}`);
  });

  test('that is not a number gets a readable message', () => {
    expect(errorOf({ API_WORKERS: 'abc' })).toMatch(/why: +is not a whole number\n +do: +use a whole number/);
    expect(errorOf({ API_WORKERS: '1.5' })).toMatch(/why: +is not a whole number\n/);
    expect(errorOf({ HTTP_TIMEOUT: 'soon' })).toMatch(/why: +is not a number\n/);
  });

  test('of restricted text is reported with the restriction', () => {
    expect(errorOf({ REDIS_PREFIX: 'a b' })).toContain('do:   use 1 to 64 letters, digits or any of . _ -');
    expect(errorOf({ S3_BUCKET: 'x' })).toContain('do:   use text of 3 to 63 characters');
  });

  test('that is out of bounds is reported as too small or too large', () => {
    expect(errorOf({ HTTP_TIMEOUT: '-3' })).toMatch(/why: +is too small\n/);
    expect(errorOf({ API_PORT: '70000' })).toMatch(/why: +is too large\n/);
  });

  test('of an address to listen on is bare, and brackets around IPv6 are removed', () => {
    for (const [value, host] of [
      ['[::1]', '::1'],
      ['::', '::'],
      ['0.0.0.0', '0.0.0.0'],
      ['atlas.internal', 'atlas.internal'],
    ] as const)
      expect(loadConfig({ API_HOST: value }, '/dev/null').config.API_HOST).toBe(host);
    for (const value of ['127.0.0.1:80', 'http://localhost', '[localhost]x', 'a b', '[::1]:80'])
      expect(() => loadConfig({ API_HOST: value }, '/dev/null')).toThrow(/API_HOST.*\n.*is not a bare host/);
  });

  test('in a list of brokers or hosts is rejected, as it could never be reached', () => {
    const brokers = ['localhost', 'a:1,localhost', 'a:99999', 'kafka://a:1', 'user@a:1', 'a:1/b'];
    for (const value of brokers)
      expect(errorOf({ KAFKA_BROKERS: value })).toContain('contains an item that is not host:port');
    const hosts = ['http://localhost', 'localhost:8080', 'a b', '[a]', '10.0.0.0/8'];
    for (const value of hosts)
      expect(errorOf({ WEBHOOKS_ALLOWED_HOSTS: value })).toContain(
        'contains an item that is not a bare host',
      );
    const good = {
      KAFKA_BROKERS: 'a_b:9092,[::1]:9092',
      WEBHOOKS_ALLOWED_HOSTS: 'a.example,10.0.0.1,::1,[::1]',
    };
    expect(load(good).config).toMatchObject({
      KAFKA_BROKERS: ['a_b:9092', '[::1]:9092'],
      WEBHOOKS_ALLOWED_HOSTS: ['a.example', '10.0.0.1', '::1', '[::1]'],
    });
  });

  test('of a login to Kafka is rejected: parts that are missing, and a password that the network would see', () => {
    const login = {
      KAFKA_SASL_MECHANISM: 'PLAIN',
      KAFKA_SASL_USERNAME: 'atlas',
      KAFKA_SASL_PASSWORD: 'hunter2',
    };
    expect(errorOf({ KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256' })).toMatch(
      /KAFKA_SASL_USERNAME is not set[\s\S]*KAFKA_SASL_PASSWORD is not set/,
    );
    expect(errorOf(login)).toMatch(
      /KAFKA_SASL_MECHANISM is PLAIN, and KAFKA_TLS is not set\n {4}why: .*\n {4}do: {3}set KAFKA_TLS=true/,
    );
    expect(errorOf({ KAFKA_SASL_PASSWORD: 'hunter2' })).toContain('KAFKA_SASL_MECHANISM is not');
    expect(errorOf({ KAFKA_CA_FILE: '/etc/ca.pem' })).toContain('KAFKA_CA_FILE is set, and KAFKA_TLS is not');
    expect(errorOf({ ...login, KAFKA_SASL_MECHANISM: 'plain' })).toContain(
      'use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512',
    );
    for (const more of [{ KAFKA_TLS: 'true' }, { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512' }])
      expect(load({ ...login, ...more }).config).toMatchObject({ KAFKA_SASL_PASSWORD: 'hunter2' });
  });

  test('of a provider lacks what Atlas is known by there, or would be called in plain text', () => {
    expect(errorOf({ OIDC_ISSUER: 'https://login.example.com' })).toMatch(
      /OIDC_CLIENT_ID is not set[\s\S]*OIDC_CLIENT_SECRET is not set/,
    );
    const client = { OIDC_CLIENT_ID: '1-a.apps.example.com', OIDC_CLIENT_SECRET: 'hunter2' };
    for (const issuer of [
      'http://login.example.com',
      'https://a:b@login.example.com',
      'https://x.example?y',
      'x',
    ])
      expect(errorOf({ ...client, OIDC_ISSUER: issuer })).toContain('is not the URL of an issuer');
    for (const issuer of ['https://login.example.com/realms/a', 'http://localhost:8080'])
      expect(load({ ...client, OIDC_ISSUER: issuer }).config).toMatchObject({ OIDC_ISSUER: issuer });
  });

  test('of the admin port is that of the API, which would make it public', () => {
    expect(errorOf({ API_PORT: '9000', ADMIN_PORT: '9000' })).toMatch(
      /ADMIN_PORT is the same as API_PORT\n {4}why: .*\n {4}do: {3}set ADMIN_PORT to another port/,
    );
    expect(errorOf({ ADMIN_PORT: '8000' })).toContain('ADMIN_PORT is the same as API_PORT');
    expect(load({ ADMIN_PORT: '8001' }).config).toMatchObject({ ADMIN_PORT: 8001, ADMIN_HOST: '127.0.0.1' });
  });

  test('of an authority for a connection that is not encrypted is rejected: somebody expects that it is', () => {
    const REDIS_CA_FILE = '/etc/ca.pem';
    expect(errorOf({ REDIS_CA_FILE, REDIS_URL: 'redis://:hunter2@host:6379' })).toMatch(
      /REDIS_CA_FILE is set, .*\n {4}why: .*\n {4}do: {3}let REDIS_URL start with rediss:\/\//,
    );
    expect(load({ REDIS_CA_FILE, REDIS_URL: 'rediss://host:6379' }).config).toMatchObject({ REDIS_CA_FILE });
  });

  test('is reported together with all others', () => {
    const message = errorOf({ API_PORT: 'x', HTTP_TIMEOUT: 'y', LOG_LEVEL: 'z' });
    expect(message.match(/why:/g)).toHaveLength(3);
  });

  test('from .env is reported as such', () => {
    expect(() => loadWithFile('API_PORT=x')).toThrow('API_PORT="x" (from .env)');
  });
});

describe('the descriptions of the settings', () => {
  test('list each setting once, with a sentence, a section, and its allowed values', () => {
    const settings = describeSettings();
    expect(new Set(settings.map(({ name }) => name)).size).toBe(settings.length);
    for (const { name, description, section, allowed } of settings) {
      expect(name).toMatch(/^[A-Z][A-Z0-9_]+$/);
      expect(description).toMatch(/^\S.*\.$/);
      expect(section).not.toBe('');
      expect(allowed).not.toBe('');
    }
  });

  test('mark every setting that could contain a password as secret', () => {
    const named = /_KEY$|SECRET|PASSWORD|TOKEN|^(?:DATABASE|DATABASE_REPLICA|REDIS)_URL$/;
    for (const { name, secret } of describeSettings())
      if (named.test(name)) expect([name, secret]).toEqual([name, true]);
  });

  test('have valid defaults', () => {
    const defaults = describeSettings().map(({ name, defaultText }) => [name, defaultText]);
    expect(load(Object.fromEntries(defaults)).config).toEqual(load({}).config);
  });
});

describe('settings for another process', () => {
  const GIVEN = {
    DOCS_ENABLED: 'false',
    RETRY_JITTER: 'no',
    HTTP_TIMEOUT: '0.5',
    CORS_ALLOWED_ORIGINS: 'https://a.example, https://b.example',
    TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    KAFKA_BROKERS: 'a:1,b:2',
    DATABASE_URL: 'postgresql://user:p%40ss,word@host/db',
    REDIS_URL: 'redis://:secret@host:6379/1',
  };

  test.each([
    ['none', {}],
    ['some of every kind', GIVEN],
  ])('are read back unchanged: %s', (_, given) => {
    const { config } = load(given);
    expect(load(environmentOf(config)).config).toEqual(config);
  });

  test('include every setting, so that nothing else fills in unset ones', () => {
    const names = describeSettings().map(({ name }) => name);
    expect(Object.keys(environmentOf(load({}).config))).toEqual(names);
    expect(environmentOf(load({}).config).REDIS_URL).toBe('');
  });

  test('are not mixed with a file', () => {
    expect(loadConfig({ API_PORT: '1' }, null).config).toEqual(load({ API_PORT: '1' }).config);
  });
});
