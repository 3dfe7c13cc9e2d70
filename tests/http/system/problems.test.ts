import { afterAll, beforeAll, expect, test } from 'bun:test';
import { PROBLEM_KINDS } from '../../../src/features.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test.each(Object.entries(PROBLEM_KINDS))(
  '/problems/%s explains the cause and the remedy',
  async (code, { status, cause, remedy }) => {
    const response = await callWithoutKey(atlas, 'GET', `/problems/${code}`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toStartWith('text/html');
    expect(response.headers.get('content-security-policy')).toBe(
      "default-src 'none'; frame-ancestors 'none'",
    );
    const html = await response.text();
    const asHtml = (text: string) => text.replace(/`([^`]+)`/g, '<code>$1</code>');
    for (const text of [code, `HTTP status ${status}`, asHtml(cause), asHtml(remedy)])
      expect(html).toContain(text);
    expect(html).not.toContain('`');
  },
);

test.each(['no_such_code', 'constructor', '__proto__', '%3Cscript%3E'])(
  'there is no problem %s',
  async (code) => {
    const response = await callWithoutKey(atlas, 'GET', `/problems/${code}`);
    const { detail } = await expectProblem(atlas, response, 404, 'not_found');
    expect(detail).not.toContain('script');
  },
);

test('the type of a problem links to its page', async () => {
  const refused = await callWithoutKey(atlas, 'GET', '/v1/ping');
  const { type } = (await refused.json()) as { type: string };
  const page = await callWithoutKey(atlas, 'GET', new URL(type, 'http://atlas.test').pathname);
  expect(await page.text()).toContain('Authentication required');
});
