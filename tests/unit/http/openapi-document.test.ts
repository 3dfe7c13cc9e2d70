import { expect, test } from 'bun:test';
import { OpenAPIHono, z } from '@hono/zod-openapi';
import type { Exchange } from '../../../src/envelope/exchange.ts';
import { openApiDocument } from '../../../src/http/openapi-document.ts';
import { httpProblems } from '../../../src/http/problems.ts';
import { jsonOf, RouteTable } from '../../../src/http/route.ts';
import { VERSION } from '../../../src/version.ts';

const app = new OpenAPIHono<{ Bindings: Exchange }>();
new RouteTable(app, httpProblems).mount(
  {
    method: 'get',
    path: '/things/{id}',
    operationId: 'getThing',
    summary: 'Get a thing',
    tag: 'Things',
    tier: 'default',
    scope: 'things:read',
    params: z.object({ id: z.string() }),
    responses: { 200: jsonOf('The thing', z.object({ id: z.string() })) },
  },
  ({ c, params }) => c.json({ id: params.id }, 200),
);
const document = openApiDocument(app, ['Things', 'Health'], { 'thing.made.v1': { post: {} } });

test('the document is OpenAPI 3.1 with the version of Atlas and the tags in order', () => {
  expect(document).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Atlas', version: VERSION },
    tags: [{ name: 'Things' }, { name: 'Health' }],
    webhooks: { 'thing.made.v1': { post: {} } },
    components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
  });
});

test('a mounted route has its scope, its tier, its response, and the common problems', () => {
  expect(document).toMatchObject({
    paths: {
      '/things/{id}': {
        get: {
          operationId: 'getThing',
          security: [{ apiKey: ['things:read'] }],
          'x-slo-tier': 'default',
          responses: {
            200: { description: 'The thing' },
            401: { description: '[`unauthenticated`](/problems/unauthenticated)' },
            429: { headers: { 'Retry-After': {} } },
            503: {},
          },
        },
      },
    },
  });
});
