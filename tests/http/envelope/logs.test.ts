import { beforeAll, expect, test } from 'bun:test';
import { logDropsOf } from '../../../src/instrumentation/logger.ts';
import { freshDatabase } from '../../support/database.ts';
import { openAccount } from '../../support/ledger-steps.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { expectProblem } from '../problem-assertions.ts';

const EMPTY = { allowNegative: false };
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

test('at level info served requests are not logged, and refused ones have a line each', () =>
  withApp({ LOG_LEVEL: 'info' }, async (atlas) => {
    await atlas.call('GET', '/v1/ping');
    await callWithoutKey(atlas, 'GET', '/v1/ping', { 'X-Request-ID': 'no-key' });
    await atlas.call('GET', '/nothing', { headers: { 'X-Request-ID': 'no-route' } });
    await atlas.call('POST', '/v1/transfers', { json: {}, headers: { 'X-Request-ID': 'no-input' } });
    expect(linesOf(atlas)).toMatchObject([
      { level: 'info', msg: 'request refused', requestId: 'no-key', status: 401, code: 'unauthenticated' },
      {
        msg: 'request refused',
        requestId: 'no-route',
        endpoint: 'unmatched',
        status: 404,
        code: 'not_found',
      },
      { msg: 'request refused', requestId: 'no-input', owner: 'owner', status: 400, code: 'invalid_request' },
    ]);
    expect(atlas.logs.join('')).not.toContain('atlas_live_');
  }));

test('a refusal before the key is verified has the owner if the key was used lately, and else what the client claims', () =>
  withApp({ LOG_LEVEL: 'info', LOAD_SHEDDING_MAX_CONCURRENT: '1' }, async (atlas) => {
    const token = await atlas.key(['ping:read'], 'acme');
    const headers = { Authorization: `Bearer ${token}` };
    const call = () => callWithoutKey(atlas, 'GET', '/v1/ping', headers);
    await Promise.all([call(), call()]);
    await call();
    await Promise.all(Array.from({ length: 3 }, call));
    expect((await callWithoutKey(atlas, 'GET', '/v1/accounts', headers)).status).toBe(403);
    const keyId = token.split('_')[2];
    const [first, ...others] = linesOf(atlas).filter(({ msg }) => msg === 'request refused');
    expect(first).toMatchObject({ code: 'overloaded', keyId });
    expect(first).not.toHaveProperty('owner');
    expect(others.at(-1)).toMatchObject({ code: 'forbidden', owner: 'acme', keyId });
    for (const line of others.filter(({ code }) => code === 'overloaded'))
      expect(line).toMatchObject({ owner: 'acme', keyId });
  }));

test('at level warn requests are not logged, whether served or refused', () =>
  withApp({ LOG_LEVEL: 'warn' }, async (atlas) => {
    await callWithoutKey(atlas, 'GET', '/v1/ping');
    await atlas.call('GET', '/nothing');
    expect(atlas.logs).toEqual([]);
  }));

test('every refused payment is found by its request ID at level info, those in a batch too', () =>
  withApp({ LOG_LEVEL: 'info' }, async (atlas) => {
    const [debit, credit] = [await openAccount(atlas, EMPTY), await openAccount(atlas, EMPTY)];
    const transfer = { debitAccountId: debit.id, creditAccountId: credit.id, amount: 1 };
    const post = (id: string, path: string, json: object) =>
      atlas.call('POST', path, { json, headers: { 'X-Request-ID': id, 'Idempotency-Key': id } });
    for (let i = 0; i < 50; i++)
      expect((await post(`single-${i}`, '/v1/transfers', transfer)).status).toBe(422);
    const transfers = [transfer, { ...transfer, debitAccountId: crypto.randomUUID() }, transfer];
    expect((await post('batch', '/v1/transfers/batch', { transfers })).status).toBe(200);
    expect((await post('atomic', '/v1/transfers/batch', { transfers, atomic: true })).status).toBe(422);
    const lines = linesOf(atlas).filter(({ msg }) => msg === 'request refused');
    const ofId = (id: string) => lines.filter(({ requestId }) => requestId === id);
    for (let i = 0; i < 50; i++)
      expect(ofId(`single-${i}`)).toMatchObject([
        { owner: 'owner', status: 422, code: 'insufficient_funds' },
      ]);
    expect(ofId('batch')).toMatchObject([
      {
        owner: 'owner',
        status: 200,
        code: 'items_refused',
        refusedItems: { insufficient_funds: 2, unknown_account: 1 },
      },
    ]);
    expect(ofId('atomic')).toMatchObject([{ owner: 'owner', status: 422, code: 'batch_refused' }]);
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
    const [line, request, ...others] = linesOf(atlas);
    expect(others).toEqual([]);
    expect(request).toMatchObject({ level: 'info', requestId: 'find-me', status: 500, code: 'internal' });
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

test('an unexpected error is logged once and counted, and each of its requests is found by its ID', () =>
  withApp({ LOG_LEVEL: 'info' }, async (atlas) => {
    await atlas.sql`ALTER TABLE accounts RENAME COLUMN ledger TO money_place`;
    for (let i = 0; i < 100; i++) {
      const response = await atlas.call('GET', '/v1/accounts', { headers: { 'X-Request-ID': `id-${i}` } });
      expect(response.status).toBe(500);
    }
    const lines = linesOf(atlas);
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    for (let i = 0; i < 100; i++)
      expect(
        lines.filter(({ requestId, level }) => requestId === `id-${i}` && level === 'info'),
      ).toHaveLength(1);
    expect(logDropsOf(atlas.deps.logger).repeated).toBe(99);
    expect(await (await callWithoutKey(atlas, 'GET', '/metrics')).text()).toContain(
      'atlas_log_lines_dropped_total{reason="repeated"} 99',
    );
  }));

test('while PostgreSQL is unavailable the log says so once, and each failed request is found by its ID', () =>
  withApp({ LOG_LEVEL: 'info' }, async (atlas) => {
    expect((await atlas.call('GET', '/v1/ping')).status).toBe(200);
    await atlas.deps.database.end();
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => (await atlas.call('GET', '/v1/accounts')).status),
    );
    expect(new Set(statuses)).toEqual(new Set([503]));
    const lines = linesOf(atlas);
    expect(lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toEqual([
      'PostgreSQL cannot be reached.',
    ]);
    const failed = lines.filter(({ msg }) => msg === 'request failed');
    expect(new Set(failed.map(({ requestId }) => requestId)).size).toBe(20);
    expect(failed[0]).toMatchObject({ owner: 'owner', status: 503, code: 'dependency_unavailable' });
    expect(lines).toHaveLength(21);
  }));
