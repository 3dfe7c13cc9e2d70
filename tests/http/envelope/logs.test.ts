import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

async function withApp(
  settings: Record<string, string>,
  work: (atlas: TestApp) => Promise<void>,
): Promise<void> {
  const atlas = await startTestApp(settings);
  await work(atlas);
  await atlas.close();
}
const linesOf = (atlas: TestApp) => atlas.logs.map((line) => JSON.parse(line) as Record<string, unknown>);

test('requests are logged at level debug: one line each, by pattern, with the request ID of the response', () =>
  withApp({ LOG_LEVEL: 'debug' }, async (atlas) => {
    const id = crypto.randomUUID();
    const response = await atlas.call('GET', `/v1/accounts/${id}?secret=1`);
    const requests = linesOf(atlas).filter(({ msg }) => msg === 'request');
    expect(requests).toEqual([
      {
        level: 'debug',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        requestId: response.headers.get('x-request-id')!,
        method: 'GET',
        endpoint: '/v1/accounts/{id}',
        status: expect.anything(),
        durationMs: expect.any(Number),
        msg: 'request',
      },
    ]);
    expect(atlas.logs.join('')).not.toContain(id);
  }));

test('a well-formed traceparent is logged with the request, a malformed one is not', () =>
  withApp({ LOG_LEVEL: 'debug' }, async (atlas) => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await callWithoutKey(atlas, 'GET', '/health', { traceparent });
    await callWithoutKey(atlas, 'GET', '/health', { traceparent: `${traceparent}-forged` });
    const traces = linesOf(atlas)
      .filter(({ msg }) => msg === 'request')
      .map((line) => line.traceparent);
    expect(traces).toEqual([traceparent, undefined]);
  }));

test('at other levels requests are not logged, whether served or refused', () =>
  withApp({ LOG_LEVEL: 'info' }, async (atlas) => {
    await atlas.call('GET', '/v1/ping');
    await callWithoutKey(atlas, 'GET', '/v1/ping');
    await atlas.call('GET', '/nothing');
    await atlas.call('POST', '/v1/transfers', { json: {} });
    expect(atlas.logs).toEqual([]);
  }));

test('an internal error is hidden from the caller and logged under the same request ID', () =>
  withApp({ LOG_LEVEL: 'info' }, async (atlas) => {
    await atlas.sql`ALTER TABLE accounts RENAME COLUMN ledger TO money_place`;
    const response = await atlas.call('GET', '/v1/accounts', { headers: { 'X-Request-ID': 'find-me' } });
    const problem = await expectProblem(atlas, response, 500, 'internal');
    expect(problem).toEqual({
      type: '/problems/internal',
      title: 'Internal error',
      status: 500,
      detail: 'The error was logged under the request ID.',
      requestId: 'find-me',
    });
    expect([...response.headers.values()].join(' ')).not.toMatch(/ledger|column|postgres/i);
    const [line, ...others] = linesOf(atlas);
    expect(others).toEqual([]);
    expect(line).toMatchObject({ level: 'error', requestId: 'find-me', endpoint: '/v1/accounts' });
    expect(line!.err).toMatchObject({
      type: 'PostgresError',
      code: '42703',
      message: expect.stringContaining('ledger'),
      stack: expect.stringContaining('repository.ts'),
    });
  }));

test('input of a caller cannot start a new log line', () =>
  withApp({ LOG_LEVEL: 'debug' }, async (atlas) => {
    await atlas.call('GET', '/v1/ping%0A{"level":"error"}', { headers: { 'X-Request-ID': 'a{"b"}' } });
    await atlas.call('GET', '/v1/ping', {
      headers: { traceparent: 'x\\n{}', 'User-Agent': '{"level":"error"}' },
    });
    for (const line of atlas.logs) expect(line).toMatch(/^\{.*\}\n$/);
    expect(linesOf(atlas).map(({ level }) => level)).not.toContain('error');
  }));

test('while PostgreSQL is unavailable the log says so once, not per request', () =>
  withApp({ LOG_LEVEL: 'info' }, async (atlas) => {
    expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
    await atlas.deps.database.end();
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => (await atlas.call('GET', '/v1/accounts')).status),
    );
    expect(new Set(statuses)).toEqual(new Set([503]));
    expect(linesOf(atlas).map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'PostgreSQL cannot be reached.'],
    ]);
  }));
