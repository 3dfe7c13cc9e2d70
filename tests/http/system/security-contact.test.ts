import { expect, test } from 'bun:test';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const PATH = '/.well-known/security.txt';

test(
  'security.txt names the contact of the settings, and a date within a year (RFC 9116)',
  async () => {
    const atlas = await startTestApp({ SECURITY_CONTACT: 'mailto:security@example.com' });
    try {
      const response = await callWithoutKey(atlas, 'GET', PATH);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
      const lines = (await response.text()).split('\n');
      expect(lines[0]).toBe('Contact: mailto:security@example.com');
      const [, expires] = /^Expires: (.+)$/.exec(lines[1]!)!;
      const days = (Date.parse(expires!) - Date.now()) / 86_400_000;
      expect(days).toBeGreaterThan(30);
      expect(days).toBeLessThan(365);
    } finally {
      await atlas.close();
    }
  },
  START_TIMEOUT_MS,
);

test(
  'security.txt is 404 without a contact',
  async () => {
    const atlas = await startTestApp();
    try {
      await expectProblem(atlas, await callWithoutKey(atlas, 'GET', PATH), 404, 'not_found');
    } finally {
      await atlas.close();
    }
  },
  START_TIMEOUT_MS,
);

test.each([
  'security@example.com',
  'javascript:alert(1)',
  'mailto:a@example.com\nExpires: never',
  'http://example.com',
])('a contact that is no URL of its kinds ends the start: %j', async (SECURITY_CONTACT) => {
  await expect(startTestApp({ SECURITY_CONTACT })).rejects.toThrow('SECURITY_CONTACT');
});
