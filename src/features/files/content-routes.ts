import { jsonOf, type RouteTable } from '../../http/route.ts';
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
      description: 'Anyone with the link can download the file until the link expires.',
      params: IdSchema,
      refusals: ['file_not_found', 'file_incomplete'],
      responses: { 200: jsonOf('The download link', LinkSchema) },
    },
    async ({ exchange, params }) => {
      const { file, url, expiresAt } = await files.link(
        exchange.principal!.owner,
        params.id,
        exchange.signal,
      );
      return exchange.json({ url, expiresAt, sizeBytes: file.sizeBytes, sha256: file.sha256 }, 200);
    },
  );
}
