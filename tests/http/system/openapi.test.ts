import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATED } from '../../../src/cli/docs.ts';
import { PROBLEM_KINDS, SCOPES } from '../../../src/features.ts';
import { isBeforeSignIn } from '../../support/before-sign-in.ts';
import { callWhenOnTime, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly security: readonly Record<string, readonly string[]>[];
  readonly description?: string;
  readonly 'x-slo-tier': string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, Media> };
  readonly responses: Record<string, { description: string; content?: Record<string, Media> }>;
}
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: { readonly example?: unknown };
  readonly example?: unknown;
}
interface Media {
  readonly schema: object;
  readonly example?: unknown;
  readonly examples?: Record<string, { $ref: string }>;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: Record<string, Record<string, object>>;
  readonly webhooks: Record<
    string,
    { post: { requestBody: { content: { 'application/json': { schema: object } } } } }
  >;
}

let atlas: TestApp;
let document: Document;
let operations: { method: string; path: string; operation: Operation }[];
beforeAll(async () => {
  atlas = await startTestApp();
  const response = await callWhenOnTime(atlas, 'GET', '/openapi.json');
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
    expect(statuses.some((status) => status < 300 || status === 303)).toBe(true);
    expect(statuses).toContain(400);
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      expect(description).not.toBe('');
      // Unhealthy responses have the schema of health, not a problem.
      if (Number(status) < 400 || (path.startsWith('/health') && status === '503')) continue;
      const { schema, examples } = content!['application/problem+json']!;
      expect(Object.keys(content!)).toEqual(['application/problem+json']);
      expect(schema).toEqual({ $ref: '#/components/schemas/Problem' });
      // Each code that the status can stand for is named, and has an example of its own.
      for (const [code, { $ref }] of Object.entries(examples!)) {
        expect($ref).toBe(`#/components/examples/${code}`);
        expect(description).toContain(`[\`${code}\`](/problems/${code})`);
        const example = document.components.examples![code] as { value: object };
        expect(example.value).toMatchObject({ type: `/problems/${code}`, status: Number(status) });
      }
      expect(Object.keys(examples!).length).toBeGreaterThan(0);
    }
  }
});

test('every problem type but those of no route is documented somewhere', () => {
  const named = new Set(
    operations.flatMap(({ operation }) =>
      Object.values(operation.responses).flatMap(({ content = {} }) =>
        Object.keys(content['application/problem+json']?.examples ?? {}),
      ),
    ),
  );
  // A method that a path does not have, a client that is gone, and what only a movement of a set is refused for.
  const ofNoRoute = ['method_not_allowed', 'request_aborted', 'same_ledger'];
  expect(Object.keys(PROBLEM_KINDS).filter((code) => !named.has(code))).toEqual(ofNoRoute);
});

test('an optional parameter has no example, which a form would send', () => {
  const parameters = operations.flatMap(({ operation }) => operation.parameters ?? []);
  // Neither changes what is returned, and a change without If-Match is refused.
  const harmless = ['name', 'If-Match'];
  const optional = parameters.filter(({ required, name }) => !required && !harmless.includes(name));
  expect(optional.length).toBeGreaterThan(10);
  expect(optional.filter(({ schema, example }) => (example ?? schema.example) !== undefined)).toEqual([]);
});

test('every body has an example', () => {
  const bodies = operations.flatMap(({ operation }) => Object.values(operation.requestBody?.content ?? {}));
  expect(bodies.length).toBeGreaterThan(5);
  const missing = operations.filter(({ operation }) =>
    Object.values(operation.requestBody?.content ?? {}).some(({ example }) => example === undefined),
  );
  // Its link says which bytes it takes.
  expect(missing.map(({ operation }) => operation.operationId)).toEqual(['uploadByLink']);
});

test('the requests to webhooks are documented, one per event type', async () => {
  const asyncApi = (await (await callWhenOnTime(atlas, 'GET', '/asyncapi.json')).json()) as {
    components: { messages: Record<string, { payload: object }> };
  };
  const payloads = Object.entries(document.webhooks).map(([type, { post }]) => [
    type,
    post.requestBody.content['application/json'].schema,
  ]);
  const messages = Object.entries(asyncApi.components.messages).map(([type, { payload }]) => [type, payload]);
  expect(payloads.length).toBeGreaterThan(4);
  expect(payloads).toEqual(messages);
});

const IMPORTING = ['createImport', 'cancelImport'];

test('every operation under /v1 names its scope and documents refusals and overload; no other requires a key', () => {
  for (const { method, path, operation } of operations) {
    // Routes of presigned links require a signature, not a key, and nobody has a session before signing in.
    const isOpen = path.startsWith('/v1/objects/') || isBeforeSignIn({ method, pattern: path });
    if (!path.startsWith('/v1/') || isOpen) {
      expect(operation.security).toEqual([]);
      continue;
    }
    expect(operation.security).toHaveLength(1);
    const scopes = operation.security[0]!.apiKey!;
    // The graph and exports show transfers and accounts, and imports write both.
    const isBoth = /^\/v1\/(?:graph\/|export$)/.test(path) || IMPORTING.includes(operation.operationId);
    expect(scopes).toHaveLength(isBoth ? 2 : 1);
    expect(Object.keys(SCOPES)).toEqual(expect.arrayContaining(scopes));
    const listed = scopes.map((scope) => `\`${scope}\``).join(' and ');
    expect(operation.description).toContain(`Requires the scope${scopes.length > 1 ? 's' : ''} ${listed}.`);
    expect(Object.keys(operation.responses)).toEqual(
      expect.arrayContaining(['401', '403', '429', '500', '503', '504']),
    );
  }
  expect(document.components.securitySchemes!.apiKey).toMatchObject({ type: 'http', scheme: 'bearer' });
});

// These act on the resource that the path names.
const WITHOUT_BODY = [
  'closeAccount',
  'reopenAccount',
  'cancelImport',
  'suspendOrganization',
  'lockUser',
  'rotateWebhookSecret',
  'revokeApiKey',
  'testWebhook',
  'replayWebhookDelivery',
  'completeFile',
  'voidHold',
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
    const moves = method === 'post' && /^\/v1\/(?:transfers|holds|sets|imports$)(?!\/search$)/.test(path);
    expect({ path, required: header?.required ?? false }).toEqual({ path, required: moves });
  }
});
