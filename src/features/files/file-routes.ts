import { z } from '@hono/zod-openapi';
import { linkNext, NEXT } from '../../http/cursor.ts';
import { matchesEtag } from '../../http/etag.ts';
import { jsonOf, type RouteTable } from '../../http/route.ts';
import { UuidSchema } from '../../http/schemas.ts';
import { DEMO } from '../../utils/demo-data.ts';
import { actorOf } from '../actor.ts';
import { ETAG, etagOf, NOT_MODIFIED, SHARED, toResource } from './file-responses.ts';
import {
  ConditionalHeadersSchema,
  FilePageSchema,
  FileQuerySchema,
  FileSchema,
  IdSchema,
} from './schemas.ts';
import type { FileService } from './service.ts';

const READ = { ...SHARED, scope: 'files:read', resource: 'database' } as const;

/** Routes of file metadata: list, read, delete. */
export function mountFileRecords(routes: RouteTable, files: FileService): void {
  routes.mount(
    {
      ...READ,
      method: 'get',
      path: '/v1/files',
      operationId: 'listFiles',
      summary: 'List your files, oldest first',
      query: FileQuerySchema,
      compressible: true,
      responses: { 200: jsonOf('A page of files', FilePageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { owner } = exchange.principal!;
      const page = await files.list(owner, query.cursor ?? null, query.limit, exchange.signal);
      const nextCursor = page.next === null ? null : `f${page.next.replaceAll('-', '')}`;
      const list = { files: page.files.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...READ,
      method: 'get',
      path: '/v1/files/{id}',
      operationId: 'getFile',
      summary: "Get a file's metadata",
      params: IdSchema,
      headers: ConditionalHeadersSchema,
      refusals: ['file_not_found'],
      responses: { 200: jsonOf('The file', FileSchema, ETAG), ...NOT_MODIFIED },
    },
    async ({ exchange, params, headers }) => {
      const file = await files.find(exchange.principal!.owner, params.id, exchange.signal);
      const fields = { ETag: etagOf(file) };
      if (matchesEtag(headers['If-None-Match'] ?? null, fields.ETag)) return exchange.empty(304, fields);
      return exchange.json(toResource(file), 200, fields);
    },
  );

  routes.mount(
    {
      // No resource: this also deletes the object, and a slow object store must not look like a slow database.
      ...SHARED,
      scope: 'files:write',
      method: 'delete',
      path: '/v1/files/{id}',
      operationId: 'deleteFile',
      summary: 'Delete a file',
      params: z.object({ id: UuidSchema.openapi({ example: DEMO.spareFile }) }),
      refusals: ['file_not_found'],
      responses: { 204: { description: 'The file is deleted' } },
    },
    async ({ exchange, params }) => {
      await files.delete(exchange.principal!.owner, params.id, actorOf(exchange), exchange.signal);
      return exchange.empty(204);
    },
  );
}
