import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const NAME = { name: 'Example Ltd.' };

describe.each([
  ['an encoded surrogate', '%ED%A0%80'],
  ['a byte that is not UTF-8', 'a%FF'],
  ['an overlong encoding', '%C0%AF'],
  ['half an escape', 'a%2'],
  ['an escape that is none', '%zz'],
])('%s', (_what, text) => {
  test('in a path names nothing, and is never taken literally', async () => {
    for (const [method, path, json] of [
      ['PUT', `/v1/operator/organizations/${text}`, NAME],
      ['GET', `/v1/operator/organizations/${text}`],
      ['GET', `/v1/operator/quotas/organization/${text}`],
      ['GET', `/v1/accounts/${text}`],
    ] as const) {
      const response = await atlas.call(method, path, json && { json });
      const { errors } = await expectProblem(atlas, response, 400, 'invalid_request', ['/path/id']);
      expect(errors).toEqual([
        { pointer: '/path/id', detail: 'must be percent-encoded UTF-8, in which % is %25' },
      ]);
    }
    const literal = await atlas.call('GET', `/v1/operator/organizations/${encodeURIComponent(text)}`);
    await expectProblem(atlas, literal, 404, 'organization_not_found');
  });

  test('in a query is refused, in a value and in a name', async () => {
    const value = await atlas.call('GET', `/v1/accounts?limit=1&cursor=${text}`);
    const { errors } = await expectProblem(atlas, value, 400, 'invalid_request', ['/query/cursor']);
    expect(errors![0]!.detail).toContain('percent-encoded UTF-8');
    const name = await atlas.call('GET', `/v1/accounts?${text}=1`);
    await expectProblem(atlas, name, 400, 'invalid_request');
  });
});

test('an ID may have any other character, percent-encoded once', async () => {
  for (const id of ['100%', '%ED%A0%80', 'a b+c', 'Zoë/🦊', 'x?y#z']) {
    const path = `/v1/operator/organizations/${encodeURIComponent(id)}`;
    expect((await atlas.call('PUT', path, { json: NAME })).status).toBe(201);
    expect(await (await atlas.call('GET', path)).json()).toMatchObject({ id });
  }
});
