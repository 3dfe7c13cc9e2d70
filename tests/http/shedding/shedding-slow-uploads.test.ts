import { beforeAll, expect, test } from 'bun:test';
import { freshDatabase } from '../../support/database.ts';
import { START_TIMEOUT_MS, startTestApp } from '../../support/test-app.ts';

const UPLOADS = 20;
const READS = 400;

beforeAll(() => freshDatabase(), START_TIMEOUT_MS);

test('callers that send their bodies slowly do not block others from the database', async () => {
  const atlas = await startTestApp();
  const gone = Promise.withResolvers<void>();
  const trickling = () =>
    new ReadableStream({
      async pull(controller) {
        controller.enqueue(new TextEncoder().encode('{'));
        await gone.promise;
        controller.close();
      },
    });
  const uploads = Array.from({ length: UPLOADS }, () =>
    atlas.call('POST', '/v1/accounts', {
      body: trickling(),
      headers: { 'Content-Type': 'application/json' },
    }),
  );
  const statuses = new Set<number>();
  for (let i = 0; i < READS; i++) statuses.add((await atlas.call('GET', '/v1/accounts')).status);
  expect([...statuses]).toEqual([200]);
  const metrics = await (await atlas.call('GET', '/metrics')).text();
  expect(metrics).toContain('atlas_shedding_resource_in_flight{resource="database"} 0');
  // They still hold their permits.
  expect(metrics).toContain(`atlas_shedding_in_flight ${UPLOADS}`);
  gone.resolve();
  expect((await Promise.all(uploads)).map(({ status }) => status)).toEqual(Array(UPLOADS).fill(400));
  await atlas.close();
});
