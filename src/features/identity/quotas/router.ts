import { cursorSchema, linkNext, NEXT } from '../../../http/cursor.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema } from '../../../http/schemas.ts';
import { actorOf } from '../../actor.ts';
import type { QuotaSubject } from '../quota.ts';
import type { EffectiveQuota, QuotaOverrideService } from './override-service.ts';
import { EffectiveQuotaSchema, QuotaPageSchema, QuotaSchema, QuotaSubjectSchema } from './schemas.ts';

const COMMON = { tag: 'Operators', tier: 'default', resource: 'database' } as const;
const PATH = '/v1/operator/quotas/{kind}/{id}';

// The kind, and the bytes of the ID in hexadecimal digits. The letter q keeps the cursors of different lists apart.
const KINDS = { k: 'key', o: 'organization' } as const;
const CursorSchema = cursorSchema(
  /^q[ko](?:[0-9a-f]{2}){1,4000}$/,
  (text): QuotaSubject => ({
    kind: KINDS[text[1] as keyof typeof KINDS],
    id: Buffer.from(text.slice(2), 'hex').toString().replaceAll('\0', ''),
  }),
);
const toCursor = ({ kind, id }: QuotaSubject) => `q${kind[0]}${Buffer.from(id).toString('hex')}`;

/** Mounts `/v1/operator/quotas`. */
export function mountQuotas(routes: RouteTable, quotas: QuotaOverrideService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/operator/quotas',
      operationId: 'listQuotas',
      summary: 'List the quotas that operators have set',
      description: 'Quotas of keys come first, each kind by ID. Defaults are not listed.',
      scope: 'operator:read',
      query: pageQuerySchema(CursorSchema),
      compressible: true,
      responses: { 200: jsonOf('A page of quotas', QuotaPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const page = await quotas.list(query.cursor ?? null, query.limit, exchange.signal);
      const nextCursor = page.next && toCursor(page.next);
      const list = { quotas: page.quotas.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'getQuota',
      summary: 'Get the quota of a key or an organization',
      scope: 'operator:read',
      params: QuotaSubjectSchema,
      refusals: ['quota_subject_not_found'],
      responses: { 200: jsonOf('The quota, which may be the default', EffectiveQuotaSchema) },
    },
    async ({ exchange, params }) => exchange.json(toResource(await quotas.get(params, exchange.signal)), 200),
  );

  routes.mount(
    {
      ...COMMON,
      method: 'put',
      path: PATH,
      operationId: 'setQuota',
      summary: 'Set the quota of a key or an organization',
      description: 'Replaces the default, or what was set before. All workers apply it within 5 seconds.',
      scope: 'operator:write',
      params: QuotaSubjectSchema,
      headers: OptionalIdempotencyHeadersSchema,
      body: QuotaSchema,
      example: { requestsPerSecond: 1_000_000, burst: 0, concurrentRequests: null },
      refusals: ['quota_subject_not_found', 'idempotency_key_reused'],
      responses: { 200: jsonOf('The quota', EffectiveQuotaSchema, REPLAYED) },
    },
    async ({ exchange, params, headers, body }) => {
      const { result, replayed } = await quotas.set(
        params,
        body,
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      return exchange.json(toResource(result), 200, replayedFields(replayed));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: PATH,
      operationId: 'resetQuota',
      summary: 'Reset the quota of a key or an organization to the default',
      scope: 'operator:write',
      params: QuotaSubjectSchema,
      refusals: ['quota_subject_not_found'],
      responses: { 204: { description: 'The default applies' } },
    },
    async ({ exchange, params }) => {
      await quotas.reset(params, actorOf(exchange), exchange.signal);
      return exchange.empty(204);
    },
  );
}

function toResource({ kind, id, changedAt, ...quota }: EffectiveQuota) {
  const { requestsPerSecond, burst, concurrentRequests } = quota;
  const changed = changedAt === null ? null : changedAt.toISOString();
  return { kind, id, requestsPerSecond, burst, concurrentRequests, changedAt: changed };
}
