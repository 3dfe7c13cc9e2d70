import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATED } from '../../../src/cli/docs.ts';
import { ALL_SCOPES } from '../../../src/features.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly Record<string, readonly string[]>[];
  readonly 'x-slo-tier': string;
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema: object }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, { schema: object }> };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: Record<string, Record<string, object>>;
}

let atlas: TestApp;
let document: Document;
let operations: { method: string; path: string; operation: Operation }[];
beforeAll(async () => {
  atlas = await startTestApp();
  const response = await callWithoutKey(atlas, 'GET', '/openapi.json');
  expect(response.headers.get('content-type')).toStartWith('application/json');
  document = (await response.json()) as Document;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  );
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('the served document is the committed one: after a change, run `npm run docs:generate`', () => {
  const committed = readFileSync(join(import.meta.dir, '../../..', GENERATED.openApi), 'utf8');
  expect(document).toEqual(JSON.parse(committed));
});

describe('the document is OpenAPI 3.1', () => {
  test('with a version, a title, and paths', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({
      title: 'Atlas',
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
    for (const path of Object.keys(document.paths)) expect(path).toStartWith('/');
  });

  test('whose references all resolve', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
      ([, target]) => target!,
    );
    expect(references.length).toBeGreaterThan(10);
    for (const reference of new Set(references)) {
      const [, section, name] = /^#\/components\/(\w+)\/(\w+)$/.exec(reference)!;
      expect({ reference, there: document.components[section!]?.[name!] !== undefined }).toEqual({
        reference,
        there: true,
      });
    }
  });

  test('whose paths declare exactly their parameters, all required', () => {
    for (const { path, operation } of operations) {
      const held = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(declared.map(({ name }) => name)).toEqual(held);
      for (const { required } of declared) expect(required).toBe(true);
    }
  });

  test('whose schemas do not use keywords of 3.0', () => {
    expect(JSON.stringify(document)).not.toMatch(/"nullable":|"exclusiveMinimum":true/);
  });
});

test('every route is documented, and nothing else is', () => {
  const documented = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(documented.toSorted()).toEqual(
    atlas.routes.map(({ method, pattern }) => `${method} ${pattern}`).toSorted(),
  );
});

test('every operation has a unique ID, a summary, a tag, and a tier', () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { operation } of operations) {
    expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
    expect(operation.summary.length).toBeGreaterThan(5);
    expect(operation.tags).toHaveLength(1);
    expect(['critical', 'default', 'non-critical']).toContain(operation['x-slo-tier']);
  }
});

test('every operation documents its problems as problems, and a success', () => {
  for (const { path, operation } of operations) {
    const statuses = Object.keys(operation.responses).map(Number);
    expect(statuses.some((status) => status < 300)).toBe(true);
    expect(statuses).toContain(400);
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      expect(description).not.toBe('');
      // Unhealthy responses have the schema of health, not a problem.
      if (Number(status) < 400 || (path.startsWith('/health') && status === '503')) continue;
      expect(content).toEqual({
        'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
      });
    }
  }
});

test('every operation under /v1 names its scope and documents refusals and overload; no other requires a key', () => {
  for (const { path, operation } of operations) {
    // Routes of presigned links require a signature, not a key.
    if (!path.startsWith('/v1/') || path.startsWith('/v1/objects/')) {
      expect(operation.security).toEqual([]);
      continue;
    }
    expect(operation.security).toHaveLength(1);
    const [scope, ...others] = operation.security[0]!.apiKey!;
    expect(others).toEqual([]);
    expect(ALL_SCOPES).toContain(scope!);
    expect(Object.keys(operation.responses)).toEqual(
      expect.arrayContaining(['401', '403', '429', '500', '503', '504']),
    );
  }
  expect(document.components.securitySchemes!.apiKey).toMatchObject({ type: 'http', scheme: 'bearer' });
});

// These act on the resource that the path names.
const WITHOUT_BODY = [
  'rotateWebhookSecret',
  'testWebhook',
  'replayWebhookDelivery',
  'completeFile',
  'linkFile',
];
const OF_BYTES = ['uploadFile', 'uploadByLink'];

test('every operation with a body requires it, as JSON unless it is a file, and documents its absence', () => {
  for (const { method, operation } of operations) {
    const isTold = ['post', 'patch', 'put'].includes(method) && !WITHOUT_BODY.includes(operation.operationId);
    const type = OF_BYTES.includes(operation.operationId) ? 'application/octet-stream' : 'application/json';
    expect({ operation, body: operation.requestBody !== undefined }).toEqual({ operation, body: isTold });
    if (!operation.requestBody) continue;
    expect(operation.requestBody.required).toBe(true);
    expect(Object.keys(operation.requestBody.content)).toEqual([type]);
    expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['413', '415']));
  }
});

test('operations that move money require an Idempotency-Key', () => {
  for (const { path, method, operation } of operations) {
    const header = operation.parameters?.find(({ name }) => name === 'Idempotency-Key');
    const moves = method === 'post' && path.startsWith('/v1/transfers');
    expect({ path, required: header?.required ?? false }).toEqual({ path, required: moves });
  }
});
