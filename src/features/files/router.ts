import { linkNext } from '../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../http/route.ts';
import { answerContent } from './content.ts';
import { readDigest } from './content-digest.ts';
import { isKnown } from './content-range.ts';
import { type FileRecord, objectPrefixOf } from './domain.ts';
import { dispositionFileName, safeFileName } from './file-name.ts';
import { declaredType, FILE_TYPES } from './file-type.ts';
import {
  ConditionalHeadersSchema,
  ContentHeadersSchema,
  FilePageSchema,
  FileQuerySchema,
  FileSchema,
  IdSchema,
  LinkSchema,
  NewUploadSchema,
  ObjectParamsSchema,
  UploadHeadersSchema,
  UploadQuerySchema,
  UploadSchema,
} from './schemas.ts';
import type { FileService } from './service.ts';

const text = (description: string) => ({ description, schema: { type: 'string' as const } });
const NEXT = { Link: text('The next page, `rel="next"`') };
const ETAG = { ETag: text('The version') };
const LOCATION = { Location: text('Where the file is') };
const BYTES = { content: { '*/*': { schema: {} } } };
const NOTHING = { 304: { description: 'It is the one of If-None-Match' } };

/** What the routes need to know of the settings. */
export interface FileRouteOptions {
  readonly sizeBytesMax: number;
  readonly timeoutMs: number;
}

/** `/v1/files`, and `/v1/objects` where links lead to Atlas. */
export function mountFiles(
  routes: RouteTable,
  files: FileService,
  { sizeBytesMax, timeoutMs }: FileRouteOptions,
): void {
  const shared = { tag: 'Files', tier: 'default' } as const;
  const read = { ...shared, scope: 'files:read', resource: 'database' } as const;
  const write = { ...shared, scope: 'files:write' } as const;
  /** Bytes have places of their own, and take as long as they take. */
  const transfer = { timeoutMs, bodyLimitBytes: sizeBytesMax, streams: 'application/octet-stream' } as const;

  routes.mount(
    {
      ...write,
      ...transfer,
      method: 'post',
      path: '/v1/files',
      operationId: 'uploadFile',
      summary: 'Upload a file',
      description: `The body is the file itself. It is stored when this answers 201, and nothing of it is kept otherwise. Its type is told by its bytes, and a Content-Type must agree with them. These are taken: ${FILE_TYPES.join(', ')}.`,
      query: UploadQuerySchema,
      headers: UploadHeadersSchema,
      refusals: [408, 422],
      responses: { 201: jsonOf('The file is stored', FileSchema, { ...LOCATION, ...ETAG }) },
    },
    async ({ c, exchange, query, headers }) => {
      const disposition = dispositionFileName(headers['Content-Disposition'] ?? null);
      const claims = {
        name: safeFileName(query.name ?? disposition ?? ''),
        declaredType: declaredType(c.req.header('content-type') ?? null),
        sha256: (['Repr-Digest', 'Content-Digest'] as const).flatMap(
          (name) => readDigest(headers[name]) ?? [],
        ),
      };
      const file = await files.upload(exchange.principal!.owner, claims, exchange.body, exchange.signal);
      c.header('Location', `/v1/files/${file.id}`);
      c.header('ETag', etagOf(file));
      return c.json(toResource(file), 201);
    },
  );

  routes.mount(
    {
      ...read,
      method: 'get',
      path: '/v1/files',
      operationId: 'listFiles',
      summary: 'List your files, oldest first',
      query: FileQuerySchema,
      compressible: true,
      responses: { 200: jsonOf('A page of files', FilePageSchema, NEXT) },
    },
    async ({ c, exchange, query }) => {
      const { owner } = exchange.principal!;
      const page = await files.list(owner, query.cursor ?? null, query.limit, exchange.signal);
      const nextCursor = page.next === null ? null : `f${page.next.replaceAll('-', '')}`;
      linkNext(c, nextCursor);
      return c.json({ files: page.files.map(toResource), nextCursor }, 200);
    },
  );

  routes.mount(
    {
      ...write,
      resource: 'database',
      method: 'post',
      path: '/v1/files/uploads',
      operationId: 'initiateUpload',
      summary: 'Get a link to upload a file to',
      description:
        'For bytes that should not pass through the API: send exactly the announced ones to the link, then complete the file.',
      body: NewUploadSchema,
      responses: { 201: jsonOf('The link', UploadSchema, LOCATION) },
    },
    async ({ c, exchange, body }) => {
      const announced = { ...body, name: safeFileName(body.name) };
      const { file, upload } = await files.initiateUpload(
        exchange.principal!.owner,
        announced,
        exchange.signal,
      );
      const { url, headers, expiresAt } = upload;
      c.header('Location', `/v1/files/${file.id}`);
      return c.json({ file: toResource(file), upload: { method: 'PUT', url, headers, expiresAt } }, 201);
    },
  );

  routes.mount(
    {
      ...read,
      method: 'get',
      path: '/v1/files/{id}',
      operationId: 'getFile',
      summary: 'Read what is known of a file',
      params: IdSchema,
      headers: ConditionalHeadersSchema,
      refusals: [404],
      responses: { 200: jsonOf('The file', FileSchema, ETAG), ...NOTHING },
    },
    async ({ c, exchange, params, headers }) => {
      const file = await files.find(exchange.principal!.owner, params.id, exchange.signal);
      c.header('ETag', etagOf(file));
      if (isKnown(headers['If-None-Match'] ?? null, etagOf(file))) return c.body(null, 304);
      return c.json(toResource(file), 200);
    },
  );

  routes.mount(
    {
      ...shared,
      scope: 'files:read',
      method: 'get',
      path: '/v1/files/{id}/content',
      operationId: 'downloadFile',
      summary: 'Download a file, or a part of it',
      description:
        'Every byte was compared with its checksum before it is sent. Bytes that are damaged are not sent: that is 502 at the beginning of the answer, and later the connection is cut.',
      params: IdSchema,
      headers: ContentHeadersSchema,
      refusals: [404, 409, 416, 502],
      responses: {
        200: { description: 'The file', headers: ETAG, ...BYTES },
        206: { description: 'The part that was asked for', headers: ETAG, ...BYTES },
        ...NOTHING,
      },
    },
    async ({ c, exchange, params }) =>
      answerContent(files, c, await files.findStored(exchange.principal!.owner, params.id, exchange.signal)),
  );

  routes.mount(
    {
      ...write,
      method: 'post',
      path: '/v1/files/{id}/complete',
      operationId: 'completeFile',
      summary: 'Store a file whose bytes were sent to its link',
      description: 'Reads the bytes and compares them with what was announced. Safe to repeat.',
      timeoutMs,
      params: IdSchema,
      refusals: [404, 409, 415, 422],
      responses: { 200: jsonOf('The file is stored', FileSchema, ETAG) },
    },
    async ({ c, exchange, params }) => {
      // Nothing moves on the connection while the bytes are read, which may take as long as a download of them.
      exchange.allowSilence();
      try {
        const file = await files.complete(exchange.principal!.owner, params.id, exchange.signal);
        c.header('ETag', etagOf(file));
        return c.json(toResource(file), 200);
      } finally {
        exchange.endSilence();
      }
    },
  );

  routes.mount(
    {
      ...read,
      method: 'post',
      path: '/v1/files/{id}/link',
      operationId: 'linkFile',
      summary: 'Get a link to download a file from',
      description: 'Whoever has the link can download the file until the link expires.',
      params: IdSchema,
      refusals: [404, 409],
      responses: { 200: jsonOf('The link', LinkSchema) },
    },
    async ({ c, exchange, params }) => {
      const { file, url, expiresAt } = await files.link(
        exchange.principal!.owner,
        params.id,
        exchange.signal,
      );
      return c.json({ url, expiresAt, sizeBytes: file.sizeBytes, sha256: file.sha256 }, 200);
    },
  );

  routes.mount(
    {
      // No resource: the object goes too, and a slow object store must not pass for a slow database.
      ...write,
      method: 'delete',
      path: '/v1/files/{id}',
      operationId: 'deleteFile',
      summary: 'Delete a file',
      params: IdSchema,
      refusals: [404],
      responses: { 204: { description: 'Nobody can read it any more' } },
    },
    async ({ c, exchange, params }) => {
      await files.delete(exchange.principal!.owner, params.id, exchange.signal);
      return c.body(null, 204);
    },
  );

  if (!files.servesLinks) return;
  const linked = {
    ...shared,
    path: '/v1/objects/files/{realm}/{id}',
    // The signature in the link says what its holder may do.
    scope: null,
    params: ObjectParamsSchema,
  } as const;

  routes.mount(
    {
      ...linked,
      ...transfer,
      method: 'put',
      operationId: 'uploadByLink',
      summary: 'Send the bytes that a link is for',
      refusals: [403, 404, 408, 422, 503],
      responses: { 204: { description: 'The bytes are there; complete the file' } },
    },
    async ({ c, exchange, params }) => {
      await files.uploadByLink(keyOf(params), queryOf(c.req.url), exchange.body, exchange.signal);
      return c.body(null, 204);
    },
  );

  routes.mount(
    {
      ...linked,
      method: 'get',
      operationId: 'downloadByLink',
      summary: 'Download the file that a link is for',
      refusals: [403, 404, 409, 416, 502, 503],
      responses: {
        200: { description: 'The file', headers: ETAG, ...BYTES },
        206: { description: 'The part that was asked for', headers: ETAG, ...BYTES },
        ...NOTHING,
      },
    },
    async ({ c, exchange, params }) =>
      answerContent(files, c, await files.openLink(keyOf(params), queryOf(c.req.url), exchange.signal)),
  );
}

function keyOf({ realm, id }: { readonly realm: string; readonly id: string }): string {
  return `${objectPrefixOf(realm)}${id}`;
}

function queryOf(url: string): URLSearchParams {
  return new URL(url).searchParams;
}

/** Nothing of a file changes while it stays in a state. */
function etagOf({ id, state }: FileRecord): string {
  return `"${state}-${id}"`;
}

function toResource({ owner: _, ...file }: FileRecord) {
  return file;
}
