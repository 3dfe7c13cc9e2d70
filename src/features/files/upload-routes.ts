import { createHash } from 'node:crypto';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../http/route.ts';
import { DEMO_CSV } from '../../utils/demo-data.ts';
import { actorOf } from '../actor.ts';
import { readDigest } from './content-digest.ts';
import { dispositionFileName, safeFileName } from './file-name.ts';
import { ETAG, etagOf, LOCATION, SHARED, toResource } from './file-responses.ts';
import { declaredType, FILE_TYPES } from './file-type.ts';
import {
  FileSchema,
  IdSchema,
  NewUploadSchema,
  UploadHeadersSchema,
  UploadQuerySchema,
  UploadSchema,
} from './schemas.ts';
import type { FileService } from './service.ts';

const SHA256_OF_DEMO = createHash('sha256').update(DEMO_CSV).digest('hex');
const WRITE = { ...SHARED, scope: 'files:write' } as const;

/** Limits of the routes that transfer bytes, from the settings. */
export interface FileRouteOptions {
  readonly sizeBytesMax: number;
  readonly timeoutMs: number;
}

/** Routes to upload files: through the API, or by link. */
export function mountUploads(
  routes: RouteTable,
  files: FileService,
  { sizeBytesMax, timeoutMs }: FileRouteOptions,
): void {
  routes.mount(
    {
      ...WRITE,
      timeoutMs,
      bodyLimitBytes: sizeBytesMax,
      streams: 'application/octet-stream',
      method: 'post',
      path: '/v1/files',
      operationId: 'uploadFile',
      summary: 'Upload a file',
      description: `The body is the file itself. If the response is 201, the file is stored; otherwise, nothing is. The type is detected from the bytes, and a Content-Type must agree with it. A retry with the same Idempotency-Key and the same bytes returns the first file. Accepted types: ${FILE_TYPES.join(', ')}.`,
      query: UploadQuerySchema,
      headers: UploadHeadersSchema,
      example: DEMO_CSV,
      refusals: [
        'body_missing',
        'body_stalled',
        'file_type_refused',
        'checksum_mismatch',
        'idempotency_key_reused',
      ],
      responses: { 201: jsonOf('The file is stored', FileSchema, { ...LOCATION, ...ETAG, ...REPLAYED }) },
    },
    async ({ request, exchange, query, headers }) => {
      const disposition = dispositionFileName(headers['Content-Disposition'] ?? null);
      const claims = {
        name: safeFileName(query.name ?? disposition ?? ''),
        declaredType: declaredType(request.headers.get('content-type')),
        sha256: (['Repr-Digest', 'Content-Digest'] as const).flatMap(
          (name) => readDigest(headers[name]) ?? [],
        ),
        idempotencyKey: headers['Idempotency-Key'],
      };
      const { owner } = exchange.principal!;
      const { result: file, replayed } = await files.upload(
        owner,
        claims,
        exchange.body,
        actorOf(exchange),
        exchange.signal,
      );
      const fields = { Location: `/v1/files/${file.id}`, ETag: etagOf(file), ...replayedFields(replayed) };
      return exchange.json(toResource(file), 201, fields);
    },
  );

  routes.mount(
    {
      ...WRITE,
      resource: 'database',
      method: 'post',
      path: '/v1/files/uploads',
      operationId: 'initiateUpload',
      summary: 'Initiate an upload by link',
      description:
        'Use this for bytes that should not pass through the API: PUT exactly the declared bytes to the link, then complete the file.',
      headers: OptionalIdempotencyHeadersSchema,
      body: NewUploadSchema,
      example: {
        name: 'statement.csv',
        mediaType: 'text/csv',
        sizeBytes: DEMO_CSV.length,
        sha256: SHA256_OF_DEMO,
      },
      refusals: ['secrets_key_missing', 'idempotency_key_reused'],
      responses: {
        201: jsonOf('The new file and its upload link', UploadSchema, { ...LOCATION, ...REPLAYED }),
      },
    },
    async ({ exchange, headers, body }) => {
      const declared = { ...body, name: safeFileName(body.name) };
      const { result, replayed } = await files.initiateUpload(
        exchange.principal!.owner,
        declared,
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      const { file, upload } = result;
      const link = { method: 'PUT', url: upload.url, headers: upload.headers, expiresAt: upload.expiresAt };
      const fields = { Location: `/v1/files/${file.id}`, ...replayedFields(replayed) };
      return exchange.json({ file: toResource(file), upload: link }, 201, fields);
    },
  );

  routes.mount(
    {
      ...WRITE,
      method: 'post',
      path: '/v1/files/{id}/complete',
      operationId: 'completeFile',
      summary: 'Complete an upload by link',
      description:
        'Verifies the uploaded bytes against their declared size and SHA-256, and stores the file. Safe to repeat.',
      timeoutMs,
      params: IdSchema,
      refusals: ['file_not_found', 'file_incomplete', 'file_type_refused', 'checksum_mismatch'],
      responses: { 200: jsonOf('The file is stored', FileSchema, ETAG) },
    },
    async ({ exchange, params }) => {
      // The connection is idle while the bytes are read, which takes as long as downloading them.
      exchange.allowSilence();
      try {
        const { owner } = exchange.principal!;
        const file = await files.complete(owner, params.id, actorOf(exchange), exchange.signal);
        return exchange.json(toResource(file), 200, { ETag: etagOf(file) });
      } finally {
        exchange.endSilence();
      }
    },
  );
}
