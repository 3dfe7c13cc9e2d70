import { afterAll, beforeAll, expect, spyOn, test } from 'bun:test';
import { lookup } from 'node:dns/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seed } from '../../../src/cli/seed.ts';
import { DEMO_URL } from '../../../src/utils/demo-data.ts';
import { relayAll } from '../../support/event-steps.ts';
import { START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

interface Media {
  readonly example?: unknown;
}
interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly example?: unknown;
  readonly schema: { readonly example?: unknown; readonly enum?: readonly unknown[] };
}
interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
}

// A link is signed, so none can be written down.
const BY_LINK = ['uploadByLink', 'downloadByLink'];
// Does not end.
const STREAM = 'streamEvents';

let atlas: TestApp;
let folder: string;
let operations: { method: string; path: string; operation: Operation }[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atlas-examples-'));
  atlas = await startTestApp({ ATLAS_DATA_DIR: folder });
  // Without a name server, the host of the example cannot be checked; nothing is sent to it here.
  const isOffline = await lookup(new URL(DEMO_URL).hostname).then(
    () => false,
    () => true,
  );
  if (isOffline) spyOn(atlas.deps.outgoing, 'check').mockImplementation(async () => {});
  await seed(atlas.features);
  await seed(atlas.features);
  await relayAll(atlas);
  const response = await atlas.call('GET', '/openapi.json');
  const { paths } = (await response.json()) as { paths: Record<string, Record<string, Operation>> };
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}, START_TIMEOUT_MS);
afterAll(async () => {
  await atlas.close();
  await rm(folder, { recursive: true });
});

/** Sends an operation as a form does that is filled with the examples, and nothing else. */
async function send(method: string, path: string, operation: Operation): Promise<Response> {
  const headers: Record<string, string> = {};
  const query = new URLSearchParams();
  let target = path;
  for (const { name, in: place, required, example, schema } of operation.parameters ?? []) {
    const value = example ?? schema.example ?? (required ? schema.enum?.[0] : undefined);
    if (required)
      expect({ operation: operation.operationId, name, value }).not.toMatchObject({ value: undefined });
    if (value === undefined) continue;
    if (place === 'path') target = target.replace(`{${name}}`, encodeURIComponent(String(value)));
    if (place === 'query') query.set(name, String(value));
    if (place === 'header') headers[name] = String(value);
  }
  const [[type, media] = []] = Object.entries(operation.requestBody?.content ?? {});
  if (type !== undefined) headers['Content-Type'] = type;
  const body = media && (type === 'application/json' ? JSON.stringify(media.example) : String(media.example));
  return atlas.call(method, `${target}${query.size > 0 ? `?${query}` : ''}`, {
    headers,
    ...(body !== undefined && { body }),
  });
}

test('every operation works with its examples against the demo data, and so does sending them again', async () => {
  const sent: string[] = [];
  for (const round of [1, 2]) {
    for (const { method, path, operation } of operations) {
      const { operationId } = operation;
      if (BY_LINK.includes(operationId)) continue;
      const response = await send(method, path, operation);
      if (operationId === STREAM) await response.body!.cancel();
      const text = operationId === STREAM ? '' : await response.text();
      // What is deleted once is gone.
      const isGone = method === 'DELETE' && round === 2 && response.status === 404;
      expect({
        operationId,
        round,
        ok: response.ok || isGone,
        text: response.ok || isGone ? '' : text,
      }).toEqual({
        operationId,
        round,
        ok: true,
        text: '',
      });
      sent.push(operationId);
    }
    await relayAll(atlas);
  }
  expect(sent.length).toBe(2 * (operations.length - BY_LINK.length));
  expect(sent.length).toBeGreaterThan(70);
});

test('demo data that was deleted is not created again, as its events would continue those of the first', async () => {
  await relayAll(atlas);
  await seed(atlas.features);
  const spare = operations.filter(
    ({ method, path }) => method === 'DELETE' && !path.startsWith('/v1/operator/'),
  );
  expect(spare).toHaveLength(2);
  for (const { method, path, operation } of spare)
    expect((await send(method, path, operation)).status).toBe(404);
  expect(await atlas.sql`SELECT key FROM parked_keys`).toHaveLength(0);
});
