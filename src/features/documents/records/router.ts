import { z } from '@hono/zod-openapi';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { etagOf, matchesEtag } from '../../../http/etag.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO_DOCUMENT, DEMO_KINDS } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { replacesOf } from '../replaces.ts';
import {
  AccountParamsSchema,
  ConditionalHeadersSchema,
  DeleteHeadersSchema,
  DocumentParamsSchema,
  ETAG,
  KindSchema,
  NOT_MODIFIED,
  ReplaceHeadersSchema,
  VersionQuerySchema,
} from '../schemas.ts';
import {
  DocumentListSchema,
  DocumentPageSchema,
  DocumentSchema,
  DocumentVersionPageSchema,
  NewDocumentSchema,
  SearchQuerySchema,
  SearchSchema,
  VersionPageQuerySchema,
} from './schemas.ts';
import type { DocumentService } from './service.ts';

const COMMON = { tag: 'Documents', tier: 'default', resource: 'database' } as const;
const READ = { ...COMMON, scope: 'documents:read', compressible: true } as const;
const WRITE = { ...COMMON, scope: 'documents:write' } as const;
const BODY_LIMIT_BYTES = 262_144;
const SEARCH_LIMIT_BYTES = 65_536;
const NOT_FOUND = ['account_not_found', 'document_not_found'] as const;

/** `/v1/accounts/{id}/documents` and `/v1/documents/search`. */
export function mountDocuments(routes: RouteTable, documents: DocumentService): void {
  mountChanges(routes, documents);
  mountReading(routes, documents);
  mountLists(routes, documents);
}

function mountChanges(routes: RouteTable, documents: DocumentService): void {
  routes.mount(
    {
      ...WRITE,
      method: 'put',
      path: '/v1/accounts/{id}/documents/{kind}',
      operationId: 'putDocument',
      summary: 'Store a document of an account, or a new version of it',
      description:
        'Without If-Match it creates the document; with it, it replaces the version you read. ' +
        'If the newest version is the same, nothing changes, so the request is safe to repeat.',
      bodyLimitBytes: BODY_LIMIT_BYTES,
      params: DocumentParamsSchema,
      headers: ReplaceHeadersSchema,
      body: NewDocumentSchema,
      example: { content: DEMO_DOCUMENT },
      refusals: [
        'account_not_found',
        'document_kind_not_found',
        'document_invalid',
        'document_too_complex',
        'document_too_large',
        'precondition_failed',
        'precondition_required',
        'too_many_documents',
        'too_many_document_versions',
        'document_storage_full',
      ],
      responses: {
        200: jsonOf('The newest version of the document', DocumentSchema, ETAG),
        201: jsonOf('The new document', DocumentSchema, ETAG),
      },
    },
    async ({ exchange, params, headers, body }) => {
      const { document, isNew } = await documents.put(
        { owner: exchange.principal!.owner, accountId: params.id, kind: params.kind },
        body.content,
        replacesOf(headers['If-Match']),
        actorOf(exchange),
        exchange.signal,
      );
      return exchange.json(document, isNew ? 201 : 200, { ETag: etagOf(document.version) });
    },
  );

  routes.mount(
    {
      ...WRITE,
      method: 'delete',
      path: '/v1/accounts/{id}/documents/{kind}',
      operationId: 'deleteDocument',
      summary: 'Delete a document; its history stays',
      params: DocumentParamsSchema.extend({ kind: KindSchema.openapi({ example: DEMO_KINDS.spare }) }),
      headers: DeleteHeadersSchema,
      refusals: [...NOT_FOUND, 'precondition_failed'],
      responses: { 204: { description: 'The document is deleted' } },
    },
    async ({ exchange, params, headers }) => {
      await documents.remove(
        { owner: exchange.principal!.owner, accountId: params.id, kind: params.kind },
        replacesOf(headers['If-Match']),
        actorOf(exchange),
        exchange.signal,
      );
      return exchange.empty(204);
    },
  );
}

function mountReading(routes: RouteTable, documents: DocumentService): void {
  routes.mount(
    {
      ...READ,
      method: 'get',
      path: '/v1/accounts/{id}/documents/{kind}',
      operationId: 'getDocument',
      summary: 'Get a document of an account, or a former version of it',
      params: DocumentParamsSchema,
      query: VersionQuerySchema,
      headers: ConditionalHeadersSchema,
      refusals: NOT_FOUND,
      responses: { 200: jsonOf('The document', DocumentSchema, ETAG), ...NOT_MODIFIED },
    },
    async ({ exchange, params, query, headers }) => {
      const path = { owner: exchange.principal!.owner, accountId: params.id, kind: params.kind };
      const document = await documents.find(path, query.version ?? null, exchange.signal);
      const fields = { ETag: etagOf(document.version) };
      if (matchesEtag(headers['If-None-Match'] ?? null, fields.ETag)) return exchange.empty(304, fields);
      return exchange.json(document, 200, fields);
    },
  );

  routes.mount(
    {
      ...READ,
      method: 'get',
      path: '/v1/accounts/{id}/documents/{kind}/versions',
      operationId: 'listDocumentVersions',
      summary: 'List the versions of a document, newest first, without their contents',
      params: DocumentParamsSchema,
      query: VersionPageQuerySchema,
      refusals: NOT_FOUND,
      responses: { 200: jsonOf('A page of versions', DocumentVersionPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query: { cursor = null, limit } }) => {
      const path = { owner: exchange.principal!.owner, accountId: params.id, kind: params.kind };
      const found = await documents.versions(path, cursor, limit + 1, exchange.signal);
      const page = found.slice(0, limit);
      const nextCursor = found.length > limit ? `d${page.at(-1)!.version}` : null;
      return exchange.json({ versions: page, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );
}

function mountLists(routes: RouteTable, documents: DocumentService): void {
  routes.mount(
    {
      ...READ,
      method: 'get',
      path: '/v1/accounts/{id}/documents',
      operationId: 'listDocuments',
      summary: 'List the documents of an account by kind, without their contents',
      description: 'An account has at most 20, so there is one page.',
      params: AccountParamsSchema,
      query: z.strictObject({}),
      refusals: ['account_not_found'],
      responses: { 200: jsonOf('The documents', DocumentListSchema) },
    },
    async ({ exchange, params }) => {
      const { owner } = exchange.principal!;
      const found = await documents.ofAccount(owner, params.id, exchange.signal);
      return exchange.json({ documents: found, nextCursor: null }, 200);
    },
  );

  routes.mount(
    {
      ...READ,
      method: 'post',
      path: '/v1/documents/search',
      operationId: 'searchDocuments',
      summary: 'Find documents of a kind by their content, ordered by account',
      description:
        'Reads the newest versions only, and not those of deleted documents. What to look for is in the body, as it may be about people, and URLs are logged. ' +
        'A page can be empty and still have a next one: each examines a bounded number of documents.',
      bodyLimitBytes: SEARCH_LIMIT_BYTES,
      query: SearchQuerySchema,
      body: SearchSchema,
      example: { kind: DEMO_KINDS.identity, contains: { country: 'DE' } },
      responses: { 200: jsonOf('A page of documents', DocumentPageSchema, NEXT) },
    },
    async ({ request, exchange, query: { cursor = null, limit }, body }) => {
      const search = { owner: exchange.principal!.owner, kind: body.kind, contains: body.contains ?? null };
      const { documents: page, next } = await documents.search(search, cursor, limit, exchange.signal);
      const nextCursor = next === null ? null : `s${next.replaceAll('-', '')}`;
      return exchange.json({ documents: page, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );
}
