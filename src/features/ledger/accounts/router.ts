import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import type { Fields } from '../../../envelope/response-headers.ts';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { etagOf, expectedVersions } from '../../../http/etag.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { ACCEPTS_UP_TO_DEFAULT, type Account, availableOf, balanceOf } from '../account.ts';
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
import {
  AccountChangeHeadersSchema,
  AccountChangeSchema,
  AccountPageSchema,
  AccountSchema,
  NewAccountSchema,
} from './schemas.ts';
import type { AccountService } from './service.ts';

const tag = 'Accounts';
const ETAG = {
  ETag: {
    description: 'Changes when PATCH changes the account, and not with its balance. For If-Match',
    schema: { type: 'string' },
  },
};
const IdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) });
const CURSOR = 'a';
const ListQuerySchema = filteredQuerySchema(
  pageQuerySchema(ageCursorSchema(CURSOR)).extend({ sort: sortSchema('createdAt') }),
  ACCOUNT_FIELDS,
);

/** Mounts `/v1/accounts`. */
export function mountAccounts(
  routes: RouteTable,
  accounts: AccountService,
  search: Pick<SearchService, 'accounts'>,
): void {
  mountChanges(routes, accounts);
  mountReading(routes, accounts, search);
  mountAccountSearch(routes, search);
}

function mountChanges(routes: RouteTable, accounts: AccountService): void {
  routes.mount(
    {
      method: 'post',
      path: '/v1/accounts',
      operationId: 'openAccount',
      summary: 'Open an account',
      description:
        'Safe to repeat with the same Idempotency-Key, or if you choose the ID: with the same content it returns the existing account.',
      tag,
      tier: 'default',
      resource: 'database',
      scope: 'accounts:write',
      headers: OptionalIdempotencyHeadersSchema,
      body: NewAccountSchema,
      example: { ledger: 'EUR', name: 'Carol', kind: 'liability', metadata: { customer: '4711' } },
      refusals: ['account_id_taken', 'metadata_too_large', 'idempotency_key_reused'],
      responses: {
        200: jsonOf('The existing account with this ID and content', AccountSchema, { ...ETAG, ...REPLAYED }),
        201: jsonOf('The new account', AccountSchema, { ...ETAG, ...REPLAYED }),
      },
    },
    async ({ exchange, headers, body }) => {
      const content = {
        ledger: body.ledger,
        name: body.name ?? null,
        kind: body.kind ?? null,
        allowNegative: body.allowNegative ?? false,
        metadata: body.metadata ?? {},
        acceptsFrom: body.acceptsFrom ?? null,
        // Without the default, the retry of a request to an earlier release is still the same request.
        ...((body.acceptsUpTo ?? ACCEPTS_UP_TO_DEFAULT) === ACCEPTS_UP_TO_DEFAULT
          ? {}
          : { acceptsUpTo: body.acceptsUpTo! }),
      };
      const { account, created, replayed } = await accounts.open(
        body.id ?? undefined,
        exchange.principal!.owner,
        content,
        actorOf(exchange),
        exchange.signal,
        headers['Idempotency-Key'],
      );
      const fields = { Location: `/v1/accounts/${account.id}`, ...replayedFields(replayed) };
      return respond(exchange, account, created ? 201 : 200, fields);
    },
  );

  routes.mount(
    {
      method: 'patch',
      path: '/v1/accounts/{id}',
      operationId: 'changeAccount',
      summary: 'Set what an account accepts from others',
      description:
        'Opens an account to transfers of other organizations, up to an amount each, or closes it to them. If-Match must contain the ETag you read.',
      tag,
      tier: 'default',
      resource: 'database',
      scope: 'accounts:write',
      params: IdSchema,
      headers: AccountChangeHeadersSchema,
      body: AccountChangeSchema,
      example: { acceptsFrom: ['*'] },
      refusals: ['account_not_found', 'precondition_failed', 'precondition_required'],
      responses: { 200: jsonOf('The updated account', AccountSchema, ETAG) },
    },
    async ({ exchange, params, headers, body }) => {
      const expected = expectedVersions(headers['If-Match']);
      const { owner } = exchange.principal!;
      const acceptsUpTo = body.acceptsUpTo === null ? ACCEPTS_UP_TO_DEFAULT : body.acceptsUpTo;
      const change = { acceptsFrom: body.acceptsFrom, acceptsUpTo };
      const actor = actorOf(exchange);
      return respond(
        exchange,
        await accounts.accept(owner, params.id, expected, change, actor, exchange.signal),
        200,
      );
    },
  );
}

function mountReading(
  routes: RouteTable,
  accounts: AccountService,
  search: Pick<SearchService, 'accounts'>,
): void {
  routes.mount(
    {
      method: 'get',
      path: '/v1/accounts',
      operationId: 'listAccounts',
      summary: 'List accounts, oldest first',
      tag,
      tier: 'default',
      resource: 'database',
      scope: 'accounts:read',
      description:
        'With filters, it is a search, so a page can be empty and have a next one: see POST /v1/accounts/search.',
      query: ListQuerySchema,
      compressible: true,
      refusals: ['search_not_ready'],
      responses: { 200: jsonOf('A page of accounts', AccountPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { owner } = exchange.principal!;
      const { sort, limit, cursor: after = null } = query;
      const filter = filterOf(query, ACCOUNT_FIELDS);
      const order = orderOf(sort);
      const { accounts: page, next } =
        filter === null && order === 'oldest first'
          ? await accounts.list(owner, after, limit, exchange.signal)
          : await search.accounts({ owner, filter, order, after, limit }, exchange.signal);
      const nextCursor = next === null ? null : toAgeCursor(CURSOR, next);
      const list = { accounts: page.map(toResource), nextCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      method: 'get',
      path: '/v1/accounts/{id}',
      operationId: 'getAccount',
      summary: 'Get an account with its balance',
      tag,
      tier: 'default',
      resource: 'database',
      scope: 'accounts:read',
      params: IdSchema,
      refusals: ['account_not_found'],
      responses: { 200: jsonOf('The account', AccountSchema, ETAG) },
    },
    async ({ exchange, params }) =>
      respond(exchange, await accounts.find(exchange.principal!.owner, params.id, exchange), 200),
  );
}

function mountAccountSearch(routes: RouteTable, search: Pick<SearchService, 'accounts'>): void {
  routes.mount(
    {
      tier: 'default',
      resource: 'database',
      compressible: true,
      refusals: ['search_not_ready'],
      tag,
      scope: 'accounts:read',
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

// Of an account that was never changed, and so of nearly all: one object per kind of response.
const UNCHANGED: Fields = { ETag: etagOf(1) };

function respond(exchange: Exchange, account: Account, status: 200 | 201, fields?: Fields): Response {
  const etag = account.revision === 1 ? UNCHANGED : { ETag: etagOf(account.revision) };
  return exchange.json(toResource(account), status, fields === undefined ? etag : { ...etag, ...fields });
}

function toResource({ revision: _, ...account }: Account) {
  return { ...account, balance: balanceOf(account), available: availableOf(account) };
}
