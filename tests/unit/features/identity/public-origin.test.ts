import { expect, test } from 'bun:test';
import { isPrivateOrigin, publicOriginOf } from '../../../../src/features/identity/public-origin.ts';

const SETTINGS = { ENVIRONMENT: 'production', API_HOST: '0.0.0.0', API_PORT: 8000 };

test('the origin is PUBLIC_URL, and in development the address that Atlas listens on', () => {
  const PUBLIC_URL = 'https://atlas.example.com';
  expect(publicOriginOf({ ...SETTINGS, PUBLIC_URL })).toBe(PUBLIC_URL);
  expect(publicOriginOf({ ...SETTINGS, PUBLIC_URL, ENVIRONMENT: 'development' })).toBe(PUBLIC_URL);
  expect(publicOriginOf({ ...SETTINGS, ENVIRONMENT: 'development' })).toBe('http://127.0.0.1:8000');
  expect(publicOriginOf(SETTINGS)).toBeNull();
  expect(publicOriginOf({ ...SETTINGS, ENVIRONMENT: 'staging' })).toBeNull();
});

test.each(['https://atlas.example.com', 'http://localhost:8000', 'http://127.0.0.1', 'http://[::1]:80'])(
  'passwords may be sent to %s',
  (origin) => expect(isPrivateOrigin(origin)).toBe(true),
);

test.each([
  'http://atlas.example.com',
  'http://localhost.example.com',
  'http://127.0.0.2',
  'http://10.0.0.1',
])('passwords may not be sent to %s', (origin) => expect(isPrivateOrigin(origin)).toBe(false));
