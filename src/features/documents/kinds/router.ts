import type { Exchange } from '../../../envelope/exchange.ts';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { etagOf, matchesEtag } from '../../../http/etag.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO_DOCUMENT_KIND } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import type { DocumentKind } from '../domain.ts';
import { replacesOf } from '../replaces.ts';
import {
  ConditionalHeadersSchema,
  ETAG,
  KindParamsSchema,
  NOT_MODIFIED,
  ReplaceHeadersSchema,
  VersionQuerySchema,
} from '../schemas.ts';
import {
  DocumentKindSchema,
  KindPageSchema,
  KindQuerySchema,
  KindVersionPageSchema,
  KindVersionQuerySchema,
  NewKindSchema,
} from './schemas.ts';
import type { KindService } from './service.ts';

const COMMON = { tag: 'Documents', tier: 'default', resource: 'database' } as const;
const BODY_LIMIT_BYTES = 262_144;

/** `/v1/document-kinds`. */
export function mountKinds(routes: RouteTable, kinds: KindService): void {
  mountRegistration(routes, kinds);
  mountReading(routes, kinds);
}

function mountRegistration(routes: RouteTable, kinds: KindService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'put',
      path: '/v1/document-kinds/{kind}',
      operationId: 'registerDocumentKind',
      summary: 'Register a kind of documents, or a new version of its schema',
      description:
        'New documents are validated with the newest version; those that are stored stay as they are. ' +
        'If the newest version is the same, nothing changes, so the request is safe to repeat.',
      scope: 'document-kinds:write',
      bodyLimitBytes: BODY_LIMIT_BYTES,
      params: KindParamsSchema,
      headers: ReplaceHeadersSchema,
      body: NewKindSchema,
      example: DEMO_DOCUMENT_KIND,
      refusals: [
        'schema_invalid',
        'document_too_large',
        'precondition_failed',
        'precondition_required',
        'too_many_document_kinds',
        'too_many_document_versions',
        'document_storage_full',
      ],
      responses: {
        200: jsonOf('The newest version of the kind', DocumentKindSchema, ETAG),
        201: jsonOf('The new kind', DocumentKindSchema, ETAG),
      },
    },
    async ({ exchange, params, headers, body }) => {
      const { kind, isNew } = await kinds.register(
        exchange.principal!.owner,
        { kind: params.kind, title: body.title ?? null, schema: body.schema },
        replacesOf(headers['If-Match']),
        actorOf(exchange),
        exchange.signal,
      );
      return respond(exchange, kind, isNew ? 201 : 200);
    },
  );
}

function mountReading(routes: RouteTable, kinds: KindService): void {
  const reading = { ...COMMON, method: 'get', scope: 'documents:read', compressible: true } as const;

  routes.mount(
    {
      ...reading,
      path: '/v1/document-kinds',
      operationId: 'listDocumentKinds',
      summary: 'List your kinds of documents by name, without their schemas',
      query: KindQuerySchema,
      responses: { 200: jsonOf('A page of kinds', KindPageSchema, NEXT) },
    },
    async ({ request, exchange, query: { cursor = null, limit } }) => {
      const found = await kinds.list(exchange.principal!.owner, cursor, limit + 1, exchange.signal);
      const page = found.slice(0, limit);
      const nextCursor = found.length > limit ? `k${page.at(-1)!.kind}` : null;
      return exchange.json({ kinds: page, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...reading,
      path: '/v1/document-kinds/{kind}',
      operationId: 'getDocumentKind',
      summary: 'Get a kind of documents with its schema',
      params: KindParamsSchema,
      query: VersionQuerySchema,
      headers: ConditionalHeadersSchema,
      refusals: ['document_kind_not_found'],
      responses: { 200: jsonOf('The kind', DocumentKindSchema, ETAG), ...NOT_MODIFIED },
    },
    async ({ exchange, params, query, headers }) => {
      const { owner } = exchange.principal!;
      const kind = await kinds.find(owner, params.kind, query.version ?? null, exchange.signal);
      const fields = { ETag: etagOf(kind.version) };
      if (matchesEtag(headers['If-None-Match'] ?? null, fields.ETag)) return exchange.empty(304, fields);
      return respond(exchange, kind, 200);
    },
  );

  routes.mount(
    {
      ...reading,
      path: '/v1/document-kinds/{kind}/versions',
      operationId: 'listDocumentKindVersions',
      summary: 'List the versions of a kind of documents, newest first, without their schemas',
      params: KindParamsSchema,
      query: KindVersionQuerySchema,
      refusals: ['document_kind_not_found'],
      responses: { 200: jsonOf('A page of versions', KindVersionPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query: { cursor = null, limit } }) => {
      const { owner } = exchange.principal!;
      const found = await kinds.versions(owner, params.kind, cursor, limit + 1, exchange.signal);
      const page = found.slice(0, limit);
      const nextCursor = found.length > limit ? `v${page.at(-1)!.version}` : null;
      return exchange.json({ versions: page, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );
}

function respond(exchange: Exchange, kind: DocumentKind, status: 200 | 201): Response {
  return exchange.json(kind, status, { ETag: etagOf(kind.version) });
}
