import { linkNext, NEXT } from '../../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema } from '../../../http/schemas.ts';
import { ageCursorSchema, toAgeCursor } from '../age-cursor.ts';
import { TRANSFER_FIELDS } from '../filter.ts';
import { filteredQuerySchema, filterOf } from '../query-filters.ts';
import {
  FoundTransfersSchema,
  orderOf,
  SEARCH_BODY_BYTES,
  SEARCH_BOUNDS,
  sortSchema,
  TransferSearchSchema,
} from '../search-schemas.ts';
import type { FoundTransfers, SearchService } from './service.ts';

const TRANSFERS = {
  tag: 'Transfers',
  tier: 'default',
  resource: 'database',
  scope: 'transfers:read',
  compressible: true,
  refusals: ['search_not_ready'],
} as const;
// The letter keeps the cursors of different lists apart.
const TRANSFERS_CURSOR = 'x';

const ListQuerySchema = filteredQuerySchema(
  pageQuerySchema(ageCursorSchema(TRANSFERS_CURSOR)).extend({ sort: sortSchema('-createdAt') }),
  TRANSFER_FIELDS,
);

/** Mounts the searches, and the list of all transfers. */
export function mountSearch(routes: RouteTable, search: SearchService): void {
  routes.mount(
    {
      ...TRANSFERS,
      method: 'get',
      path: '/v1/transfers',
      operationId: 'listTransfers',
      summary: 'List the transfers from and to your accounts, newest first',
      description:
        'Read from an index that is written after posting; `asOf` says how far it is. The list of an account is never behind.',
      query: ListQuerySchema,
      responses: { 200: jsonOf('A page of transfers', FoundTransfersSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { sort, limit, cursor: after = null } = query;
      const filter = filterOf(query, TRANSFER_FIELDS);
      const asked = { owner: exchange.principal!.owner, filter, order: orderOf(sort), after, limit };
      const page = toPage(await search.transfers(asked, exchange.signal));
      return exchange.json(page, 200, linkNext(request.url, page.nextCursor));
    },
  );

  routes.mount(
    {
      ...TRANSFERS,
      method: 'post',
      path: '/v1/transfers/search',
      operationId: 'searchTransfers',
      summary: 'Find transfers from and to your accounts',
      description: `Finds what payers of other organizations wrote by its reference, and never by its metadata. ${SEARCH_BOUNDS}`,
      bodyLimitBytes: SEARCH_BODY_BYTES,
      query: pageQuerySchema(ageCursorSchema(TRANSFERS_CURSOR)),
      body: TransferSearchSchema,
      example: {
        filter: {
          and: [
            { field: 'amount', gte: 900, lt: 1000 },
            {
              or: [
                { field: 'reference', startsWith: 'lunch' },
                { contains: { metadata: { order: '4711' } } },
              ],
            },
          ],
        },
        sort: '-createdAt',
      },
      responses: { 200: jsonOf('A page of transfers', FoundTransfersSchema, NEXT) },
    },
    async ({ request, exchange, query: { cursor: after = null, limit }, body }) => {
      const { filter = null, sort } = body;
      const asked = { owner: exchange.principal!.owner, filter, order: orderOf(sort), after, limit };
      const page = toPage(await search.transfers(asked, exchange.signal));
      return exchange.json(page, 200, linkNext(request.url, page.nextCursor));
    },
  );
}

function toPage({ transfers, next, examined, asOf }: FoundTransfers) {
  const nextCursor = next === null ? null : toAgeCursor(TRANSFERS_CURSOR, next);
  return { transfers, nextCursor, examined, asOf };
}
