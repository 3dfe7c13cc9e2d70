import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import specs from '@asyncapi/specs';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { GENERATED } from '../../../src/cli/docs.ts';
import { loggedTypes } from '../../../src/features/events/log/catalogue.ts';
import { EVENT_CATALOGUE } from '../../../src/features.ts';
import { callWithoutKey, START_TIMEOUT_MS, startTestApp, type TestApp } from '../../support/test-app.ts';

interface Document {
  readonly asyncapi: string;
  readonly info: { readonly version: string };
  readonly channels: Record<
    string,
    { readonly address: string | null; readonly messages: Record<string, { readonly $ref: string }> }
  >;
  readonly operations: Record<
    string,
    { readonly action: string; readonly channel: { readonly $ref: string } }
  >;
  readonly components: { readonly messages: Record<string, { readonly payload: object }> };
}

let atlas: TestApp;
let document: Document;
beforeAll(async () => {
  atlas = await startTestApp();
  const response = await callWithoutKey(atlas, 'GET', '/asyncapi.json');
  expect(response.headers.get('content-type')).toStartWith('application/json');
  document = (await response.json()) as Document;
}, START_TIMEOUT_MS);
afterAll(() => atlas.close());

test('the served document is the committed one: after a change, run `npm run docs:generate`', () => {
  const committed = readFileSync(join(import.meta.dir, '../../..', GENERATED.asyncApi), 'utf8');
  expect(document).toEqual(JSON.parse(committed));
});

describe('the document is AsyncAPI 3.0', () => {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  const validate = ajv.compile(specs.schemasWithoutId['3.0.0'] as object);

  test('according to its own schema', () => {
    validate(document);
    expect(validate.errors).toBeNull();
    expect(document.asyncapi).toBe('3.0.0');
  });

  test('and that schema rejects an invalid document', () => {
    expect(validate({ ...document, info: {} })).toBe(false);
    expect(validate({ ...document, operations: { x: { action: 'shout', channel: {} } } })).toBe(false);
  });

  test('whose references all resolve', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, to]) => to!);
    expect(references.length).toBeGreaterThan(20);
    for (const reference of references) {
      const found = reference
        .split('/')
        .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], document);
      expect({ reference, there: found !== undefined }).toEqual({ reference, there: true });
    }
  });

  test('whose payloads are valid schemas', () => {
    for (const { payload } of Object.values(document.components.messages))
      expect(() => ajv.compile(payload)).not.toThrow();
  });
});

test('every channel carries every type of the log, and each operation sends', () => {
  expect(Object.keys(document.channels)).toEqual(['kafka', 'stream', 'webhooks']);
  for (const { messages } of Object.values(document.channels))
    expect(Object.keys(messages)).toEqual(expect.arrayContaining(loggedTypes(EVENT_CATALOGUE)));
  expect(Object.keys(document.channels.kafka!.messages)).not.toContain('webhook.test.v1');
  const channels = Object.values(document.operations).map(({ action, channel }) => [action, channel.$ref]);
  expect(channels).toEqual(Object.keys(document.channels).map((name) => ['send', `#/channels/${name}`]));
});

test('the stream is at the address in the document', () => {
  const { address } = document.channels.stream!;
  expect(atlas.routes.map(({ pattern }) => pattern)).toContain(address!);
});

test('the document can be disabled with the others', async () => {
  const closed = await startTestApp({ DOCS_ENABLED: 'false' });
  expect((await callWithoutKey(closed, 'GET', '/asyncapi.json')).status).toBe(404);
  await closed.close();
});
