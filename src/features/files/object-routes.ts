import type { RouteTable } from '../../http/route.ts';
import { respondWithContent } from './content.ts';
import { objectPrefixOf } from './domain.ts';
import { CONTENT_REFUSALS, CONTENT_RESPONSES, SHARED } from './file-responses.ts';
import { ObjectParamsSchema } from './schemas.ts';
import type { FileService } from './service.ts';
import type { FileRouteOptions } from './upload-routes.ts';

/** Routes that signed links point to when Atlas serves them itself. */
export function mountObjects(
  routes: RouteTable,
  files: FileService,
  { sizeBytesMax, timeoutMs }: FileRouteOptions,
): void {
  const linked = {
    ...SHARED,
    path: '/v1/objects/files/{realm}/{id}',
    // The signature in the link authorizes the request.
    scope: null,
    params: ObjectParamsSchema,
  } as const;

  routes.mount(
    {
      ...linked,
      timeoutMs,
      bodyLimitBytes: sizeBytesMax,
      streams: 'application/octet-stream',
      method: 'put',
      operationId: 'uploadByLink',
      summary: 'Upload bytes to a link',
      refusals: [
        'link_invalid',
        'file_not_found',
        'body_missing',
        'body_stalled',
        'checksum_mismatch',
        'dependency_unavailable',
      ],
      responses: { 204: { description: 'The bytes were received; complete the file next' } },
    },
    async ({ request, exchange, params }) => {
      await files.uploadByLink(keyOf(params), queryOf(request.url), exchange.body, exchange.signal);
      return exchange.empty(204);
    },
  );

  routes.mount(
    {
      ...linked,
      method: 'get',
      operationId: 'downloadByLink',
      summary: 'Download a file by link',
      refusals: ['link_invalid', ...CONTENT_REFUSALS, 'dependency_unavailable'],
      responses: CONTENT_RESPONSES,
    },
    async ({ c, exchange, params }) => {
      const { file, link } = await files.openLink(keyOf(params), queryOf(c.req.url), exchange.signal);
      return respondWithContent(files, c, file, { keyId: null, link });
    },
  );
}

function keyOf({ realm, id }: { readonly realm: string; readonly id: string }): string {
  return `${objectPrefixOf(realm)}${id}`;
}

function queryOf(url: string): URLSearchParams {
  return new URL(url).searchParams;
}
