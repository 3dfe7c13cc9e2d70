import { z } from '@hono/zod-openapi';
import { AtlasError } from '../../../errors.ts';
import { refuseBody } from '../../../http/refuse-body.ts';
import type { RouteTable } from '../../../http/route.ts';
import { actorOf } from '../../actor.ts';
import type { ExportService } from './service.ts';

const ExportQuerySchema = z.strictObject({
  documents: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .openapi({
      description: 'Whether to export documents and their kinds, too. It needs the scope documents:read.',
      param: { name: 'documents', in: 'query', schema: { type: 'boolean', default: false } },
    }),
});

const NDJSON = 'application/x-ndjson';
// Generators of clients know only this one.
const BYTES = 'application/octet-stream';

const headFor = (accept: string | null) => ({
  'Cache-Control': 'no-store',
  'Content-Type': accept === BYTES ? BYTES : NDJSON,
  'Content-Disposition': 'attachment; filename="export.ndjson"',
  Vary: 'Accept',
});

/** `/v1/export`. */
export function mountExport(
  routes: RouteTable,
  exports: ExportService,
  isKeyUsable: (keyId: string, signal: AbortSignal) => Promise<boolean>,
): void {
  routes.mount(
    {
      tag: 'Imports',
      // Not a resource: its latency is that of its reader.
      tier: 'non-critical',
      method: 'get',
      path: '/v1/export',
      operationId: 'exportOrganization',
      summary: 'Export everything of your organization',
      description:
        'Accounts, transfers in the order in which they can be posted again, holds, and, if you ask for them, documents and their kinds: one line of JSON each, all of one moment. ' +
        'The last line is `{"type":"end","lines":…}`; without it, a part is missing. POST /v1/imports imports the file. It also needs the scope accounts:read.',
      scope: 'transfers:read',
      alsoScope: 'accounts:read',
      query: ExportQuerySchema,
      responses: {
        200: {
          description: 'The export',
          content: {
            [NDJSON]: { schema: z.string() },
            [BYTES]: { schema: z.string().openapi({ format: 'binary' }) },
          },
        },
      },
    },
    async ({ c, exchange, query: { documents = false } }) => {
      refuseBody(c.req.raw);
      const head = headFor(c.req.raw.headers.get('accept'));
      const { owner, scopes, keyId } = exchange.principal!;
      if (documents && !scopes.includes('documents:read'))
        throw new AtlasError('forbidden', 'The export of documents requires the scope documents:read.');
      if (c.req.raw.method === 'HEAD') return c.body(null, 200, { ...head, 'Transfer-Encoding': 'chunked' });
      const isAllowed = (signal: AbortSignal) => isKeyUsable(keyId, signal).catch(() => true);
      const options = { documents, isAllowed };
      const bytes = await exports.open(owner, actorOf(exchange), options, exchange.signal, () =>
        exchange.endSilence(),
      );
      exchange.allowSilence();
      return c.body(bytes, 200, head);
    },
  );
}
