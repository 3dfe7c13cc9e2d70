import { describe, expect, test } from 'bun:test';
import { ConfigError, loadConfig, maskSecret, maskSetting } from '../../src/config.ts';

function errorOf(environment: Record<string, string>): string {
  try {
    loadConfig(environment, null);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('The settings were accepted.');
}

describe('an invalid value', () => {
  test('of a secret is reported without the secret', () => {
    const message = errorOf({ DATABASE_URL: 'mysql://user:hunter2@host/db' });
    expect(message).toContain('DATABASE_URL=mysql://user:********@host/db');
    expect(maskSetting('ab:hunter2', { isUrl: false, secret: true })).toBe('********');
    expect(message).not.toContain('hunter2');
    expect(errorOf({ DATABASE_URL: 'hunter2' })).not.toContain('hunter2');
  });

  test('of a URL or list is reported without the credentials that somebody put into it', () => {
    const settings = {
      S3_ENDPOINT: 'ftp://user:hunter2@host',
      S3_PUBLIC_ENDPOINT: 'hunter2:hunter2@host',
      KAFKA_BROKERS: 'kafka-1:9092,user:hunter2@kafka-2:9092',
      CORS_ALLOWED_ORIGINS: 'https://hunter2@app.example.com',
      API_HOST: 'http://user:hunter2@host',
    };
    const message = errorOf(settings);
    for (const name of Object.keys(settings)) expect(message).toContain(`${name}="`);
    expect(message).toContain('********@kafka-2:9092');
    expect(message).not.toContain('hunter2');
    expect(errorOf({ S3_ENDPOINT: 'host:9000' })).toContain('S3_ENDPOINT="host:9000"');
  });
});

describe('a masked value', () => {
  test.each([
    ['postgres://user:hunter2@host:5432/db', 'postgres://user:********@host:5432/db'],
    ['postgres://user@host/db', 'postgres://user@host/db'],
    ['postgres://user@host/db?password=hunter2', 'postgres://user@host/db?********'],
    ['https://user:hunter2@host/path', 'https://********:********@host/path'],
    ['https://hunter2@host:9000', 'https://********@host:9000/'],
    ['hunter2', '********'],
    ['user:hunter2@host/db', '********'],
    ['', '********'],
  ])('of %p is %p', (value, masked) => {
    expect(maskSecret(value)).toBe(masked);
  });
});
