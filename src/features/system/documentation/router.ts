import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from '@hono/zod-openapi';
import { AtlasError } from '../../../errors.ts';
import type { RouteTable } from '../../../http/route.ts';
import { STATIC_HEADERS, StaticContent, UNCHANGED } from '../../../http/static-content.ts';

const folderOf = (name: string) => dirname(Bun.resolveSync(`${name}/package.json`, import.meta.dir));

// ReDoc loads its logo from the host of its vendor. Without a URL it omits the logo.
const REDOC_LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';

/** A file of a locked package or of this folder. */
const asset = (type: string, file: () => string) =>
  new StaticContent({
    type,
    fields: { 'cache-control': 'public, max-age=3600' },
    load: async () => (await readFile(file(), 'utf8')).replaceAll(REDOC_LOGO, 'data:,'),
  });

/** The only files that are served. */
const ASSETS: Readonly<Record<string, StaticContent>> = {
  'swagger-ui.css': asset('text/css', () => join(folderOf('swagger-ui-dist'), 'swagger-ui.css')),
  'swagger-ui.js': asset('text/javascript', () => join(folderOf('swagger-ui-dist'), 'swagger-ui-bundle.js')),
  'swagger-start.js': asset('text/javascript', () => join(import.meta.dir, 'swagger-start.js')),
  'redoc.js': asset('text/javascript', () => join(folderOf('redoc'), 'bundles/redoc.standalone.js')),
  'redoc-start.js': asset('text/javascript', () => join(import.meta.dir, 'redoc-start.js')),
};

// Both pages set styles from scripts. Nothing else is allowed, and no request may leave this host.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const page = (title: string, head: string, body: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.ico">
<title>${title}</title>
<style>body { margin: 0 }</style>
${head}
</head>
<body>
${body}
</body>
</html>
`;

const SWAGGER_PAGE = page(
  'Atlas API',
  '<link rel="stylesheet" href="/docs/assets/swagger-ui.css">',
  '<div id="swagger-ui"></div>\n<script src="/docs/assets/swagger-ui.js"></script>\n<script src="/docs/assets/swagger-start.js"></script>',
);
const REDOC_PAGE = page(
  'Atlas API reference',
  '',
  '<div id="redoc"></div>\n<script src="/docs/assets/redoc.js"></script>\n<script src="/docs/assets/redoc-start.js"></script>',
);

/** The documents that are generated from the code. */
export interface Documents {
  readonly openApi: () => object;
  readonly asyncApi: () => object;
}

/**
 * Mounts `/docs`, `/redoc`, both documents, and the assets of the pages, all from this host and from memory. `prepare`
 * generates the documents, which blocks the event loop for some hundred milliseconds.
 */
export function mountDocumentation(
  routes: RouteTable,
  documents: Documents,
): { prepare(): Promise<unknown> } {
  const open = {
    method: 'get',
    tag: 'Documentation',
    tier: 'non-critical',
    scope: null,
    headers: STATIC_HEADERS,
  } as const;
  const html = { 200: { description: 'An HTML page', content: { 'text/html': { schema: z.string() } } } };
  const pages = [
    { path: '/docs', operationId: 'getSwaggerUi', summary: 'Try the API in Swagger UI', body: SWAGGER_PAGE },
    { path: '/redoc', operationId: 'getRedoc', summary: 'Read the API in ReDoc', body: REDOC_PAGE },
  ];
  for (const { body, ...route } of pages) {
    const fields = { 'content-security-policy': POLICY };
    const content = new StaticContent({ type: 'text/html; charset=UTF-8', fields, load: () => body });
    routes.mount({ ...open, ...route, responses: { ...html, ...UNCHANGED } }, ({ request, exchange }) =>
      content.respond(request, exchange),
    );
  }

  routes.mount(
    {
      ...open,
      path: '/docs/assets/{name}',
      operationId: 'getDocsAsset',
      summary: 'Get an asset of the documentation pages',
      params: z.object({ name: z.enum(Object.keys(ASSETS) as [string, ...string[]]) }),
      refusals: ['not_found'],
      responses: {
        200: {
          description: 'The file',
          content: { 'text/javascript': { schema: z.string() }, 'text/css': { schema: z.string() } },
        },
        ...UNCHANGED,
      },
    },
    ({ request, exchange, params }) => {
      const content = ASSETS[params.name];
      if (content === undefined) throw new AtlasError('not_found', 'No asset has this name.');
      return content.respond(request, exchange);
    },
  );

  const json = (description: string) => ({
    200: { description, content: { 'application/json': { schema: z.record(z.string(), z.unknown()) } } },
    ...UNCHANGED,
  });
  const documentRoutes = [
    {
      path: '/openapi.json',
      operationId: 'getOpenApi',
      summary: 'Get the OpenAPI document',
      responses: json('The OpenAPI 3.1 document'),
      generate: documents.openApi,
    },
    {
      path: '/asyncapi.json',
      operationId: 'getAsyncApi',
      summary: 'Get the AsyncAPI document of all events',
      responses: json('The AsyncAPI 3.0 document'),
      generate: documents.asyncApi,
    },
  ];
  const contents = documentRoutes.map(({ generate, ...route }) => {
    const content = new StaticContent({ type: 'application/json', load: () => JSON.stringify(generate()) });
    routes.mount({ ...open, ...route }, ({ request, exchange }) => content.respond(request, exchange));
    return content;
  });
  return { prepare: () => Promise.all(contents.map((content) => content.prepare())) };
}
