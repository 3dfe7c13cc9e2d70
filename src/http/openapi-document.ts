import { VERSION } from '../version.ts';
import type { Atlas } from './route.ts';

/**
 * Returns the OpenAPI 3.1 document of all mounted routes. It is committed under `docs/api`, and a test compares the
 * two. Documentation pages list the tags in this order. `webhooks` are the requests that Atlas makes.
 */
export function openApiDocument(
  app: Atlas,
  tags: readonly string[],
  webhooks: Readonly<Record<string, object>>,
): object {
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'atlas_live_…',
    description:
      'An API key created with `npx atlas key create --name NAME`, or the token of a session from `POST /v1/sessions`. Each operation names the scope it requires. Operations with `me:…` need a session.',
  });
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Atlas',
      version: VERSION,
      description:
        'Accounts, transfers, events, webhooks, and files that survive overload and failure. Amounts are integers in minor units, times are RFC 3339 in UTC, and errors are problem details (RFC 9457).',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: '/' }],
    tags: tags.map((name) => ({ name })),
  });
  return { ...document, webhooks };
}
