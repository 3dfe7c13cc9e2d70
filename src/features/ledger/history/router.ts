import { z } from '@hono/zod-openapi';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { refuseBody } from '../../../http/refuse-body.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import type { AccountService } from '../accounts/service.ts';
import { toBalance, toEntry, toStatement } from './resources.ts';
import {
  BalanceQuerySchema,
  BalanceSchema,
  EntryPageSchema,
  EntryQuerySchema,
  STATEMENT_FORMATS,
  StatementHeadersSchema,
  StatementQuerySchema,
  StatementSchema,
  toEntryCursor,
  toStatementCursor,
} from './schemas.ts';
import type { HistoryService } from './service.ts';
import type { StatementStreams } from './statement-stream.ts';

const IdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) });
const GET = { method: 'get', tag: 'History', tier: 'default', resource: 'database' } as const;
const TYPES = { json: 'application/json', csv: 'text/csv', pdf: 'application/pdf' } as const;

/** What mounting the history needs. */
export interface HistoryRoutes {
  readonly history: HistoryService;
  readonly streams: StatementStreams;
  readonly accounts: AccountService;
}

/** Mounts entries, past balances, and statements of an account. */
export function mountHistory(routes: RouteTable, { history, streams, accounts }: HistoryRoutes): void {
  mountEntries(routes, history, accounts);
  mountBalance(routes, history);
  mountStatement(routes, history, streams);
}

function mountEntries(routes: RouteTable, history: HistoryService, accounts: AccountService): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/accounts/{id}/entries',
      operationId: 'listAccountEntries',
      summary: 'List the entries of an account, with the balance after each',
      description:
        'Each transfer is an entry of both of its accounts. Newest first, or oldest first with `sort=version`.',
      scope: 'transfers:read',
      params: IdSchema,
      query: EntryQuerySchema,
      refusals: ['account_not_found'],
      compressible: true,
      responses: { 200: jsonOf('A page of entries', EntryPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { owner } = exchange.principal!;
      const { from = null, to = null, sort, cursor = null, limit } = query;
      const list = { fromMs: from, toMs: to, isNewestFirst: sort === '-version', after: cursor, limit };
      const { entries, hasMore } = await history.entries(owner, params.id, list, exchange.signal);
      // Only an empty page needs to check whether the account exists.
      if (entries.length === 0) await accounts.find(owner, params.id, exchange);
      const nextCursor = hasMore ? toEntryCursor(entries.at(-1)!.version) : null;
      const page = { entries: entries.map(toEntry), nextCursor };
      return exchange.json(page, 200, linkNext(request.url, nextCursor));
    },
  );
}

function mountBalance(routes: RouteTable, history: HistoryService): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/accounts/{id}/balance',
      operationId: 'getPastBalance',
      summary: 'Get the balance of an account at a past moment',
      description:
        'By when transfers were recorded (`at`), which never changes afterwards, or by when they took effect (`effectiveAt`), which back-dated transfers change. What holds reserved at a past moment is not part of it.',
      scope: 'accounts:read',
      params: IdSchema,
      query: BalanceQuerySchema,
      refusals: ['account_not_found', 'moment_in_future'],
      responses: { 200: jsonOf('The balance at this moment', BalanceSchema) },
    },
    async ({ exchange, params, query: { at, effectiveAt } }) => {
      const { owner } = exchange.principal!;
      const by = effectiveAt === undefined ? 'recorded' : 'effective';
      const moment = effectiveAt ?? at ?? null;
      return exchange.json(
        toBalance(await history.balance(owner, params.id, by, moment, exchange.signal)),
        200,
      );
    },
  );
}

function mountStatement(routes: RouteTable, history: HistoryService, streams: StatementStreams): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/accounts/{id}/statement',
      operationId: 'getStatement',
      summary: 'Get a statement: opening balance, entries, closing balance',
      description:
        'As JSON in pages, as CSV of any length in one stream, whose last line is the closing balance, or as PDF of up to 10,000 entries. Back-dated transfers change statements by time of effect, and never those by time of recording.',
      scope: 'transfers:read',
      params: IdSchema,
      query: StatementQuerySchema,
      headers: StatementHeadersSchema,
      refusals: ['account_not_found', 'moment_in_future', 'statement_too_long', 'overloaded'],
      // Not compressible: that would hold all of a CSV in memory first.
      responses: {
        200: {
          description: 'The statement, or a page of it',
          headers: {
            ...NEXT,
            'Content-Disposition': {
              description: 'The name to save a statement as CSV or PDF under',
              schema: { type: 'string' },
            },
          } as never,
          content: {
            'application/json': { schema: StatementSchema },
            'text/csv': { schema: z.string() },
            'application/pdf': { schema: { type: 'string', format: 'binary' } },
          },
        },
      },
    },
    async ({ c, request, exchange, params, query, headers }) => {
      const { owner, keyId } = exchange.principal!;
      const { from = null, to = null, by, cursor = null, limit } = query;
      const period = { by, fromMs: from, toMs: to };
      const format = query.format ?? formatOf(headers.Accept);
      if (format === 'json') {
        const page = await history.page(owner, params.id, period, cursor, limit, exchange.signal);
        const { head, entries, next } = page;
        const nextCursor = next && toStatementCursor({ ...next, lastVersion: head.lastVersion });
        const statement = { ...toStatement(head), entries: entries.map(toEntry), nextCursor };
        return exchange.json(statement, 200, linkNext(request.url, nextCursor));
      }
      refuseBody(request);
      const head = await history.head(owner, params.id, period, exchange.signal);
      const fields = {
        'Content-Type': format === 'csv' ? 'text/csv; charset=utf-8' : TYPES.pdf,
        'Content-Disposition': `attachment; filename="statement-${params.id}.${format}"`,
        'Cache-Control': 'no-store',
      };
      if (request.method === 'HEAD') return c.body(null, 200, fields);
      if (format === 'pdf') {
        const bytes = await streams.inSlot(owner, () => history.pdf(owner, head, exchange.signal));
        return c.body(bytes as Uint8Array<ArrayBuffer>, 200, fields);
      }
      const stream = streams.csv({ owner, keyId }, head, exchange.signal, () => exchange.endSilence());
      // It has its own timeouts, for the reader and for the queries.
      exchange.allowSilence();
      return c.body(stream, 200, fields);
    },
  );
}

/** The first format that an Accept header names; JSON if it names none of them. */
function formatOf(accept: string | undefined): (typeof STATEMENT_FORMATS)[number] {
  for (const range of accept?.split(',') ?? []) {
    const type = range.split(';')[0]!.trim().toLowerCase();
    const format = STATEMENT_FORMATS.find((one) => TYPES[one] === type);
    if (format) return format;
  }
  return 'json';
}
