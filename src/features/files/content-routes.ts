import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../http/route.ts';
import { actorOf } from '../actor.ts';
import { respondWithContent } from './content.ts';
import { CONTENT_REFUSALS, CONTENT_RESPONSES, SHARED } from './file-responses.ts';
import { ContentHeadersSchema, IdSchema, LinkSchema } from './schemas.ts';
import type { FileService } from './service.ts';

/** Routes to download files: through the API, or by link. */
export function mountContent(routes: RouteTable, files: FileService): void {
  routes.mount(
    {
      ...SHARED,
      scope: 'files:read',
      method: 'get',
      path: '/v1/files/{id}/content',
      operationId: 'downloadFile',
      summary: 'Download a file, or a range of it',
      description:
        'Every byte is verified against its checksum before it is sent. If corruption is found before the first byte is sent, the response is 502; if later, the connection is cut.',
      params: IdSchema,
      headers: ContentHeadersSchema,
      refusals: CONTENT_REFUSALS,
      responses: CONTENT_RESPONSES,
    },
    async ({ c, exchange, params }) => {
      const { owner, keyId } = exchange.principal!;
      const file = await files.findStored(owner, params.id, exchange.signal);
      return respondWithContent(files, c, file, { keyId, link: null });
    },
  );

  routes.mount(
    {
      ...SHARED,
      scope: 'files:read',
      resource: 'database',
      method: 'post',
      path: '/v1/files/{id}/link',
      operationId: 'linkFile',
      summary: 'Create a download link',
      description:
        'Anyone with the link can download the file until the link expires. A retry with the same Idempotency-Key gets the same link, expired or not.',
      params: IdSchema,
      headers: OptionalIdempotencyHeadersSchema,
      refusals: ['file_not_found', 'file_incomplete', 'secrets_key_missing', 'idempotency_key_reused'],
      responses: { 200: jsonOf('The download link', LinkSchema, REPLAYED) },
    },
    async ({ exchange, params, headers }) => {
      const { file, result, replayed } = await files.link(
        exchange.principal!.owner,
        params.id,
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      const { sizeBytes, sha256 } = file;
      return exchange.json({ ...result, sizeBytes, sha256 }, 200, replayedFields(replayed));
    },
  );
}
