import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from '@hono/zod-openapi';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { STATIC_HEADERS, StaticContent, UNCHANGED } from '../../../http/static-content.ts';

interface Link {
  readonly name: string;
  readonly path: string;
  readonly description: string;
}

/** What the landing page says and links to. */
export interface Landing {
  readonly version: string;
  readonly servesDocs: boolean;
  readonly servesMetrics: boolean;
  /** Whether routes for operators are on another port. */
  readonly hidesPrivate: boolean;
}

const DOCUMENTS: readonly Link[] = [
  { name: 'docs', path: '/docs', description: 'Try the API' },
  { name: 'redoc', path: '/redoc', description: 'Read the API reference' },
  { name: 'openapi', path: '/openapi.json', description: 'OpenAPI document' },
  { name: 'asyncapi', path: '/asyncapi.json', description: 'AsyncAPI document of all events' },
];
const METRICS: Link = { name: 'metrics', path: '/metrics', description: 'Metrics for Prometheus' };
const HEALTH: readonly Link[] = [
  { name: 'health', path: '/health', description: 'Health of this process' },
  { name: 'readiness', path: '/health/ready', description: 'Whether it takes requests' },
];
const DEEP_HEALTH: Link = {
  name: 'dependencies',
  path: '/health/deep',
  description: 'Health of each dependency',
};

const LandingSchema = z
  .strictObject({
    name: z.literal('Atlas'),
    version: z.string(),
    links: z.record(z.string(), z.string()).openapi({ example: { openapi: '/openapi.json' } }),
  })
  .openapi('Landing');

const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";
// People's browsers name HTML. Programs name JSON, anything, or nothing.
const WANTS_HTML = /(?:^|[,\s])text\/html\s*(?:,|;(?!\s*q=0(?:\.0*)?\s*(?:,|$))|$)/i;

/** Mounts `GET /`, a page for people and links for programs, and `GET /favicon.ico`. */
export function mountLanding(routes: RouteTable, landing: Landing): void {
  const open = {
    method: 'get',
    tag: 'Documentation',
    tier: 'non-critical',
    scope: null,
  } as const;
  const links = linksOf(landing);
  const fields = { vary: 'Accept', 'content-security-policy': POLICY };
  const page = new StaticContent({
    type: 'text/html; charset=UTF-8',
    fields,
    load: () => pageOf(landing, links),
  });
  const paths = Object.fromEntries(links.map(({ name, path }) => [name, path]));
  const list = { name: 'Atlas', version: landing.version, links: paths };
  const json = new StaticContent({ type: 'application/json', fields, load: () => JSON.stringify(list) });

  routes.mount(
    {
      ...open,
      path: '/',
      operationId: 'getLanding',
      summary: 'Find the documentation and the health of Atlas',
      description: 'An HTML page if `Accept` names text/html, otherwise JSON.',
      headers: STATIC_HEADERS,
      responses: {
        200: {
          description: 'Links to what Atlas serves',
          content: { ...jsonOf('', LandingSchema).content, 'text/html': { schema: z.string() } },
        },
        ...UNCHANGED,
      },
    },
    ({ request, exchange }) =>
      (WANTS_HTML.test(request.headers.get('accept') ?? '') ? page : json).respond(request, exchange),
  );

  const icon = new StaticContent({
    type: 'image/x-icon',
    fields: { 'cache-control': 'public, max-age=86400' },
    load: () => readFile(join(import.meta.dir, 'favicon.ico')),
  });
  routes.mount(
    {
      ...open,
      path: '/favicon.ico',
      operationId: 'getFavicon',
      summary: 'Get the icon of the pages',
      headers: STATIC_HEADERS,
      responses: {
        200: {
          description: 'The icon',
          // Generated clients read the first type.
          content: {
            'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
            'image/x-icon': { schema: {} },
          },
        },
        ...UNCHANGED,
      },
    },
    ({ request, exchange }) => icon.respond(request, exchange),
  );
}

function linksOf({ servesDocs, servesMetrics, hidesPrivate }: Landing): readonly Link[] {
  const forOperators = [DEEP_HEALTH, ...(servesMetrics ? [METRICS] : [])];
  return [...(servesDocs ? DOCUMENTS : []), ...HEALTH, ...(hidesPrivate ? [] : forOperators)];
}

function pageOf({ version, servesDocs }: Landing, links: readonly Link[]): string {
  const start = servesDocs ? ', then start with <a href="/docs">the API documentation</a>' : '';
  const rows = links.map(({ path, description }) => `<li><a href="${path}">${path}</a> ${description}</li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.ico">
<title>Atlas</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 }
ul { list-style: none; padding: 0 }
li a { display: inline-block; min-width: 10rem }
</style>
</head>
<body>
<h1>Atlas</h1>
<p>Version ${version}. Accounts, transfers, events, webhooks, and files over HTTP. Create an API key with
<code>npx atlas key create --name NAME</code>${start}.</p>
<ul>
${rows.join('\n')}
</ul>
</body>
</html>
`;
}
