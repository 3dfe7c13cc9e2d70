import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { ErrorCode } from '../../../src/errors.ts';
import { PROBLEM_KINDS } from '../../../src/http/problem-kinds.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { callWithoutKey } from '../ledger/ledger-steps.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test.each(Object.keys(PROBLEM_KINDS) as ErrorCode[])(
  '/problems/%s tells the cause and the remedy',
  async (code) => {
    const response = await callWithoutKey(atlas, 'GET', `/problems/${code}`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toStartWith('text/html');
    expect(response.headers.get('content-security-policy')).toBe(
      "default-src 'none'; frame-ancestors 'none'",
    );
    const html = await response.text();
    const { status, cause, remedy } = PROBLEM_KINDS[code];
    for (const text of [code, `HTTP status ${status}`, cause, remedy]) expect(html).toContain(text);
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

test('the problem of a refusal leads to its page', async () => {
  const refused = await callWithoutKey(atlas, 'GET', '/v1/ping');
  const { type } = (await refused.json()) as { type: string };
  const page = await callWithoutKey(atlas, 'GET', new URL(type, 'http://atlas.test').pathname);
  expect(await page.text()).toContain('A valid API key is needed');
});
