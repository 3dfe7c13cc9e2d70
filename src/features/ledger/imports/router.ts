import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { AtlasError } from '../../../errors.ts';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { idempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { refuseBody } from '../../../http/refuse-body.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import type { Import, RefusedLine } from '../import.ts';
import { streamPages } from '../stream-lines.ts';
import { reportHead, toReport } from './report.ts';
import {
  ImportPageSchema,
  ImportParamsSchema,
  ImportQuerySchema,
  ImportSchema,
  NewImportSchema,
  RefusedLineSchema,
  ReportQuerySchema,
  toImportCursor,
} from './schemas.ts';
import type { ImportService } from './service.ts';

const COMMON = { tag: 'Imports', tier: 'default', resource: 'database' } as const;
const READ = { ...COMMON, method: 'get', scope: 'transfers:read' } as const;
const LOCATION = { Location: { description: 'The path of the import', schema: { type: 'string' } } };
const DOCUMENT_SCOPES = ['documents:write', 'document-kinds:write'];
const MEDIA_TYPES = { csv: 'text/csv; charset=utf-8', ndjson: 'application/x-ndjson' } as const;

/** `/v1/imports`. */
export function mountImports(routes: RouteTable, imports: ImportService): void {
  mountChanges(routes, imports);
  mountReading(routes, imports);
  mountReport(routes, imports);
}

function mountChanges(routes: RouteTable, imports: ImportService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/imports',
      operationId: 'createImport',
      summary: 'Import accounts, transfers, holds, and documents from a stored file',
      description:
        'The file is validated first; if a line is invalid, nothing is posted. Then its lines are posted in order; one that is refused is reported, and the rest goes on. Imports of an organization are worked on one after the other. ' +
        'It also needs the scopes accounts:write and files:read, and for documents documents:write and document-kinds:write.',
      scope: 'transfers:write',
      alsoScope: 'accounts:write',
      headers: idempotencyHeadersSchema('import-2026-01'),
      body: NewImportSchema,
      example: { fileId: DEMO.file, format: 'csv', dryRun: true },
      refusals: [
        'file_not_found',
        'file_incomplete',
        'too_many_imports',
        'import_file_too_large',
        'idempotency_key_reused',
      ],
      responses: { 202: jsonOf('The new import', ImportSchema, { ...LOCATION, ...REPLAYED }) },
    },
    async ({ exchange, headers, body }) => {
      const { owner, scopes } = exchange.principal!;
      if (!scopes.includes('files:read'))
        throw new AtlasError('forbidden', 'This route requires the scope files:read.');
      const { fileId, format, ids, dryRun } = body;
      const { result, replayed } = await imports.create(
        owner,
        { fileId, format, ids: ids ?? 'keep', dryRun: dryRun ?? false },
        DOCUMENT_SCOPES.every((scope) => scopes.includes(scope)),
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      const fields = { Location: `/v1/imports/${result.id}`, ...replayedFields(replayed) };
      return exchange.json(toResource(result), 202, fields);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/imports/{id}/cancel',
      operationId: 'cancelImport',
      summary: 'Cancel an import',
      description:
        'What was posted stays posted. An import that is being worked on stops after its current block of up to 1,000 lines; until then its state does not change. Safe to repeat.',
      scope: 'transfers:write',
      alsoScope: 'accounts:write',
      params: ImportParamsSchema.extend({
        id: ImportParamsSchema.shape.id.openapi({ example: DEMO.spareImport }),
      }),
      refusals: ['import_not_found', 'import_finished'],
      responses: { 200: jsonOf('The import', ImportSchema) },
    },
    async ({ exchange, params }) => {
      const { owner } = exchange.principal!;
      const canceled = await imports.cancel(owner, params.id, actorOf(exchange), exchange.signal);
      return exchange.json(toResource(canceled), 200);
    },
  );
}

function mountReading(routes: RouteTable, imports: ImportService): void {
  routes.mount(
    {
      ...READ,
      path: '/v1/imports',
      operationId: 'listImports',
      summary: 'List your imports, newest first',
      query: ImportQuerySchema,
      compressible: true,
      responses: { 200: jsonOf('A page of imports', ImportPageSchema, NEXT) },
    },
    async ({ request, exchange, query: { cursor = null, limit } }) => {
      const page = await imports.list(exchange.principal!.owner, cursor, limit, exchange.signal);
      const nextCursor = page.next === null ? null : toImportCursor(page.next);
      const list = { imports: page.imports.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...READ,
      path: '/v1/imports/{id}',
      operationId: 'getImport',
      summary: 'Get an import with its progress',
      params: ImportParamsSchema,
      refusals: ['import_not_found'],
      responses: { 200: jsonOf('The import', ImportSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(
        toResource(await imports.find(exchange.principal!.owner, params.id, exchange.signal)),
        200,
      ),
  );
}

function mountReport(routes: RouteTable, imports: ImportService): void {
  routes.mount(
    {
      ...READ,
      path: '/v1/imports/{id}/refusals',
      operationId: 'downloadRefusals',
      summary: 'Download the report of refused lines',
      description:
        'Lines that are invalid or were refused so far, in their order, at most 10,000. Each has the number of the line, and the column or member at fault.',
      params: ImportParamsSchema,
      query: ReportQuerySchema,
      refusals: ['import_not_found'],
      responses: {
        200: {
          description: 'A line of JSON for each refused line, or a CSV file',
          content: {
            'application/x-ndjson': { schema: RefusedLineSchema },
            'text/csv': { schema: z.string() },
          },
        },
      },
    },
    async ({ c, exchange, params, query: { format } }) => {
      refuseBody(c.req.raw);
      const head = { 'Content-Type': MEDIA_TYPES[format], 'Cache-Control': 'no-store' };
      const pages = await imports.report(exchange.principal!.owner, params.id, exchange.signal);
      if (c.req.raw.method === 'HEAD') return c.body(null, 200, { ...head, 'Transfer-Encoding': 'chunked' });
      return c.body(streamReport(pages, format, exchange), 200, head);
    },
  );
}

function streamReport(
  pages: AsyncGenerator<readonly RefusedLine[]>,
  format: 'csv' | 'ndjson',
  exchange: Exchange,
): ReadableStream<Uint8Array> {
  async function* texts() {
    yield reportHead(format);
    for await (const page of pages) yield toReport(page, format);
  }
  return streamPages(texts(), () => exchange.endSilence());
}

function toResource({ owner: _, position, sizeBytes, ...rest }: Import) {
  const isDone = rest.state === 'done';
  return { ...rest, progress: isDone ? 1 : Math.floor((position / sizeBytes) * 1000) / 1000 };
}
