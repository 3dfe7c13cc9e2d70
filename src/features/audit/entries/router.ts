import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { cursorSchema, linkNext, NEXT, toHex } from '../../../http/cursor.ts';
import type { RouteTable } from '../../../http/route.ts';
import { toCsv } from '../../../utils/csv.ts';
import type { AuditEntry, EntryPosition, EntryRepository } from './repository.ts';
import { EntryPageSchema, entryQuerySchema } from './schemas.ts';

const CSV_FIELDS = { 'content-type': 'text/csv; charset=utf-8' };
const COLUMNS = ['id', 'occurredAt', 'actorKind', 'actorId', 'requestId', 'address', 'action', 'targetType'];
const DIGITS = 14;
const CursorSchema = cursorSchema(
  /^a[0-7][0-9a-f]{13}[0-7][0-9a-f]{13}$/,
  (text): EntryPosition => ({
    occurredUs: BigInt(`0x${text.slice(1, 1 + DIGITS)}`).toString(),
    id: BigInt(`0x${text.slice(1 + DIGITS)}`).toString(),
  }),
);

/** `/v1/audit`. */
export function mountAudit(routes: RouteTable, { list }: Pick<EntryRepository, 'list'>): void {
  routes.mount(
    {
      method: 'get',
      path: '/v1/audit',
      operationId: 'listAuditEntries',
      summary: 'List who changed what in your organization, newest first',
      description:
        'Changes of keys, webhooks, files, accounts, quotas, and the organization itself. Transfers are their own record and are not repeated here. ' +
        'With `format=csv`, the next page is in the Link header only.',
      tag: 'Audit',
      tier: 'default',
      resource: 'database',
      scope: 'audit:read',
      query: entryQuerySchema(CursorSchema),
      compressible: true,
      responses: {
        200: {
          description: 'A page of entries',
          headers: NEXT as never,
          content: { 'application/json': { schema: EntryPageSchema }, 'text/csv': { schema: z.string() } },
        },
      },
    },
    async ({ request, exchange, query }) => {
      const { cursor = null, limit, action, actorId, targetId, format } = query;
      const filter = {
        action,
        actorId,
        targetId,
        from: query['occurredAt[gte]'],
        before: query['occurredAt[lt]'],
      };
      const { owner } = exchange.principal!;
      const page = await list(owner, filter, cursor, limit, exchange.signal);
      const nextCursor = page.next === null ? null : toCursor(page.next);
      const link = linkNext(request.url, nextCursor);
      if (format === 'csv') return respondCsv(exchange, page.entries, link);
      return exchange.json({ entries: page.entries.map(toResource), nextCursor }, 200, link);
    },
  );
}

function respondCsv(
  exchange: Exchange,
  entries: readonly AuditEntry[],
  link?: Record<string, string>,
): Response {
  const head = [...COLUMNS, 'targetId', 'before', 'after', 'position'];
  const text = toCsv([head, ...entries.map(toRow)]);
  return exchange.respond(text, 200, exchange.responseHeaders.of(CSV_FIELDS), link);
}

function toRow(entry: AuditEntry): string[] {
  const { id, occurredAt, actor, action, targetType, targetId, before, after, position } = entry;
  const json = (value: object | null) => (value === null ? '' : JSON.stringify(value));
  return [
    id,
    occurredAt.toISOString(),
    actor.kind,
    actor.id,
    actor.requestId ?? '',
    actor.address ?? '',
    action,
    targetType,
    targetId,
    json(before),
    json(after),
    position === null ? '' : String(position),
  ];
}

function toResource({ targetType: type, targetId, ...entry }: AuditEntry) {
  return { ...entry, occurredAt: entry.occurredAt.toISOString(), target: { type, id: targetId } };
}

function toCursor({ occurredUs, id }: EntryPosition): string {
  return `a${toHex(BigInt(occurredUs), DIGITS)}${toHex(BigInt(id), DIGITS)}`;
}
