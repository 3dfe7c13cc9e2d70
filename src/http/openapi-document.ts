import { VERSION } from '../version.ts';
import type { Atlas } from './route.ts';

// Pages show them in this order: first what Atlas is for.
const TAGS = [
  'Accounts',
  'Transfers',
  'Ledger',
  'Events',
  'Webhooks',
  'Files',
  'Health',
  'Documentation',
  'Problems',
] as const;

/** The OpenAPI 3.1 document of all mounted routes. It is committed under `docs/api`, and a test compares the two. */
export function openApiDocument(app: Atlas): object {
  app.openAPIRegistry.registerComponent('securitySchemes', 'apiKey', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'atlas_live_…',
    description: 'An API key of `atlas key create`. Each operation names the scope it needs.',
  });
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Atlas',
      version: VERSION,
      description:
        'Accounts, transfers, events, webhooks and files that survive overload and failure. Amounts are whole minor units, times are RFC 3339 in UTC, errors are problem details (RFC 9457).',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: '/' }],
    tags: TAGS.map((name) => ({ name })),
  });
}
