import { linkNext, NEXT } from '../../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema } from '../../../http/schemas.ts';
import { ageCursorSchema, toAgeCursor } from '../age-cursor.ts';
import { ACCOUNT_FIELDS } from '../filter.ts';
import { filteredQuerySchema, filterOf } from '../query-filters.ts';
import type { SearchService } from '../search/service.ts';
import {
  AccountSearchSchema,
  orderOf,
  SEARCH_BODY_BYTES,
  SEARCH_BOUNDS,
  sortSchema,
} from '../search-schemas.ts';
import { toResource } from './resource.ts';
import { AccountPageSchema, ParentQuerySchema } from './schemas.ts';
import type { AccountService } from './service.ts';

const COMMON = {
  tag: 'Accounts',
  tier: 'default',
  resource: 'database',
  scope: 'accounts:read',
  compressible: true,
  refusals: ['search_not_ready'],
} as const;
const CURSOR = 'a';
const ListQuerySchema = filteredQuerySchema(
  pageQuerySchema(ageCursorSchema(CURSOR)).extend({
    sort: sortSchema('createdAt'),
    parentId: ParentQuerySchema,
  }),
  ACCOUNT_FIELDS,
).superRefine((query, context) => {
  const isSearch = filterOf(query, ACCOUNT_FIELDS) !== null || orderOf(query.sort) !== 'oldest first';
  if (query.parentId !== undefined && isSearch)
    context.addIssue({
      code: 'custom',
      path: ['parentId'],
      message: 'takes no other filter, and no other order',
    });
});

/** Mounts the list of accounts, and the search. */
export function mountAccountLists(
  routes: RouteTable,
  accounts: AccountService,
  search: Pick<SearchService, 'accounts'>,
): void {
  mountList(routes, accounts, search);
  mountSearch(routes, search);
}

function mountList(
  routes: RouteTable,
  accounts: AccountService,
  search: Pick<SearchService, 'accounts'>,
): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/accounts',
      operationId: 'listAccounts',
      summary: 'List accounts, oldest first',
      description:
        'With filters, it is a search, so a page can be empty and have a next one: see POST /v1/accounts/search.',
      query: ListQuerySchema,
      responses: { 200: jsonOf('A page of accounts', AccountPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { owner } = exchange.principal!;
      const { sort, limit, cursor: after = null } = query;
      const filter = filterOf(query, ACCOUNT_FIELDS);
      const order = orderOf(sort);
      const { accounts: page, next } =
        filter === null && order === 'oldest first'
          ? await accounts.list(owner, after, limit, exchange.signal, query.parentId)
          : await search.accounts({ owner, filter, order, after, limit }, exchange.signal);
      const nextCursor = next === null ? null : toAgeCursor(CURSOR, next);
      const list = { accounts: page.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );
}

function mountSearch(routes: RouteTable, search: Pick<SearchService, 'accounts'>): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/accounts/search',
      operationId: 'searchAccounts',
      summary: 'Find accounts',
      description: `Never behind: it finds an account as it is now. ${SEARCH_BOUNDS}`,
      bodyLimitBytes: SEARCH_BODY_BYTES,
      query: pageQuerySchema(ageCursorSchema(CURSOR)),
      body: AccountSearchSchema,
      example: {
        filter: { and: [{ contains: { metadata: { demo: 'true' } } }, { field: 'balance', gte: 100 }] },
      },
      responses: { 200: jsonOf('A page of accounts', AccountPageSchema, NEXT) },
    },
    async ({ request, exchange, query: { cursor: after = null, limit }, body }) => {
      const { filter = null, sort } = body;
      const asked = { owner: exchange.principal!.owner, filter, order: orderOf(sort), after, limit };
      const { accounts, next } = await search.accounts(asked, exchange.signal);
      const nextCursor = next === null ? null : toAgeCursor(CURSOR, next);
      const page = { accounts: accounts.map(toResource), nextCursor };
      return exchange.json(page, 200, linkNext(request.url, nextCursor));
    },
  );
}
