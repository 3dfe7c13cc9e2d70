import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrateDown, migrateUp, readMigrations } from '../../../src/adapters/postgres/migrations.ts';
import { freshDatabase } from '../../support/database.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from '../problem-assertions.ts';
import { proxyTo } from '../tcp-proxy.ts';

let atlas: TestApp;
beforeAll(async () => {
  atlas = await startTestApp();
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

const read = async (path: string, app = atlas) => {
  const response = await callWithoutKey(app, 'GET', path);
  return { status: response.status, body: await response.json() };
};
const about = {
  version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
  environment: 'test',
  uptimeSeconds: expect.any(Number),
  timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
};
const UNREACHABLE = { ready: false, reasons: ['postgresql is not responding'] };

test('/health describes the process', async () => {
  expect(await read('/health')).toEqual({ status: 200, body: { status: 'healthy', ...about } });
});

test('/health/deep reports each dependency', async () => {
  const { status, body } = await read('/health/deep');
  expect(status).toBe(200);
  expect(body).toEqual({
    status: 'healthy',
    ...about,
    dependencies: [
      {
        name: 'postgresql',
        mode: 'connected',
        status: 'healthy',
        latencyMs: expect.any(Number),
        breaker: 'closed',
      },
      { name: 'files', mode: 'embedded', status: 'healthy', latencyMs: expect.any(Number) },
    ],
    // Without Redis, limits are a fixed share.
    loadShedding: { mode: 'static', cap: 1000, limit: 1000, workers: 1 },
  });
});

test('/health/deep reports files as unhealthy while their folder cannot be written, and everything else works', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-health-'));
  const app = await startTestApp({ ATLAS_DATA_DIR: folder });
  const deep = async () => {
    const { status, body } = await read('/health/deep', app);
    const files = body.dependencies.find(({ name }: { name: string }) => name === 'files');
    return { status, overall: body.status, files };
  };
  expect(await deep()).toMatchObject({ status: 200, overall: 'healthy', files: { status: 'healthy' } });
  expect(readdirSync(folder)).toEqual([]);
  // A file in place of the folder stands for any other obstacle: nothing else stops the user root.
  writeFileSync(join(folder, 'objects'), '');
  const failed = { status: 'unhealthy', error: 'cannot be written', latencyMs: expect.any(Number) };
  expect(await deep()).toEqual({
    status: 200,
    overall: 'degraded',
    files: { name: 'files', mode: 'embedded', ...failed },
  });
  const refused = await app.call('POST', '/v1/files', { body: 'text' });
  await expectProblem(app, refused, 503, 'dependency_unavailable');
  expect((await read('/health/ready', app)).status).toBe(200);
  rmSync(join(folder, 'objects'));
  expect(await deep()).toMatchObject({ overall: 'healthy' });
  await app.close();
  rmSync(folder, { recursive: true });
});

test('/health/ready and /health/live are 200 while all is well', async () => {
  expect(await read('/health/ready')).toEqual({ status: 200, body: { ready: true, reasons: [] } });
  expect(await read('/health/live')).toEqual({ status: 200, body: { alive: true } });
});

test('a draining process is not ready but alive', async () => {
  const app = await startTestApp();
  app.deps.lifecycle.draining = true;
  expect(await read('/health/ready', app)).toEqual({
    status: 503,
    body: { ready: false, reasons: ['draining'] },
  });
  expect((await read('/health/live', app)).status).toBe(200);
  expect((await read('/health', app)).status).toBe(200);
  await app.close();
});

test('a process is not ready until its database is fully migrated', async () => {
  const app = await startTestApp();
  const migrations = await readMigrations();
  const unready = { status: 503, body: { ready: false, reasons: ['the database is not migrated'] } };
  await migrateDown(app.deps.database, migrations);
  expect(await read('/health/ready', app)).toEqual(unready);
  await migrateDown(app.deps.database, migrations, migrations.length);
  expect(await read('/health/ready', app)).toEqual(unready);
  await app.sql`DROP TABLE schema_migrations`;
  expect(await read('/health/ready', app)).toEqual(unready);
  await migrateUp(app.deps.database, migrations);
  expect((await read('/health/ready', app)).status).toBe(200);
  await app.close();
});

test('with PostgreSQL down, readiness fails, liveness does not, and requests get 503 with Retry-After', async () => {
  const proxy = proxyTo(await freshDatabase());
  const app = await startTestApp({ DATABASE_URL: proxy.url, DATABASE_TIMEOUT: '1' });
  expect((await read('/health/ready', app)).status).toBe(200);
  proxy.stop();
  expect(await read('/health/ready', app)).toEqual({ status: 503, body: UNREACHABLE });
  const deep = await read('/health/deep', app);
  expect(deep.status).toBe(503);
  const dependency = { name: 'postgresql', mode: 'connected', status: 'unhealthy', error: 'not responding' };
  expect(deep.body).toMatchObject({
    status: 'unhealthy',
    dependencies: [dependency, { name: 'files', status: 'healthy' }],
  });
  for (const path of ['/health', '/health/live', '/docs', '/metrics']) {
    expect({ path, status: (await callWithoutKey(app, 'GET', path)).status }).toEqual({ path, status: 200 });
  }
  const response = await app.call('GET', '/v1/accounts');
  expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  const problem = await expectProblem(app, response, 503, 'dependency_unavailable');
  expect(JSON.stringify(problem)).not.toMatch(/127\.0\.0\.1|ECONN|CONNECTION/);
  await app.close();
});

test('a hanging PostgreSQL is detected before the deadline of the request', async () => {
  const proxy = proxyTo(await freshDatabase());
  const app = await startTestApp({ DATABASE_URL: proxy.url, DATABASE_TIMEOUT: '1', HTTP_TIMEOUT: '6' });
  expect((await read('/health/ready', app)).status).toBe(200);
  proxy.silence();
  expect(await read('/health/ready', app)).toEqual({ status: 503, body: UNREACHABLE });
  // The first requests detect it; then the breaker is open, and no request waits for it.
  await until(async () => {
    const { body } = await read('/health/deep', app);
    expect(body).toMatchObject({
      status: 'unhealthy',
      dependencies: [{ status: 'unhealthy' }, { name: 'files' }],
    });
    return body.dependencies[0].breaker === 'open';
  });
  const refused = await app.call('GET', '/v1/accounts');
  expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  await expectProblem(app, refused, 503, 'dependency_unavailable');
  const metrics = await (await callWithoutKey(app, 'GET', '/metrics')).text();
  expect(metrics).toContain('atlas_circuit_breaker_state{dependency="postgresql"} 2');
  expect((await read('/health/live', app)).status).toBe(200);
  proxy.stop();
  await app.close();
}, 30_000);

test('/health responds without a query, whatever the caller sends', async () => {
  const headers = { Authorization: 'Bearer none', 'Content-Type': 'text/plain', traceparent: 'invalid' };
  expect((await callWithoutKey(atlas, 'GET', '/health?a=b', headers)).status).toBe(200);
});
