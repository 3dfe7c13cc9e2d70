import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import type { Fields } from '../../../envelope/response-headers.ts';
import { etagOf, expectedVersions } from '../../../http/etag.ts';
import { OptionalIdempotencyHeadersSchema, REPLAYED, replayedFields } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { ACCEPTS_UP_TO_DEFAULT, type Account, type AccountChange } from '../account.ts';
import type { SearchService } from '../search/service.ts';
import { mountAccountLists } from './lists-router.ts';
import { toResource } from './resource.ts';
import {
  type AccountChangeBody,
  AccountChangeHeadersSchema,
  AccountChangeSchema,
  AccountClosingHeadersSchema,
  AccountSchema,
  NewAccountSchema,
} from './schemas.ts';
import type { AccountService } from './service.ts';

const COMMON = { tag: 'Accounts', tier: 'default', resource: 'database' } as const;
const PARENT_REFUSALS = [
  'parent_not_found',
  'parent_ledger_differs',
  'account_cycle',
  'account_tree_too_deep',
] as const;
const ETAG = {
  ETag: {
    description: 'Changes when PATCH changes the account, and not with its balance. For If-Match',
    schema: { type: 'string' },
  },
};
const IdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) });

/** Mounts `/v1/accounts`. */
export function mountAccounts(
  routes: RouteTable,
  accounts: AccountService,
  search: Pick<SearchService, 'accounts'>,
): void {
  mountOpening(routes, accounts);
  mountChanges(routes, accounts);
  mountClosing(routes, accounts);
  mountAccountLists(routes, accounts, search);
  mountReading(routes, accounts);
}

function mountOpening(routes: RouteTable, accounts: AccountService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/accounts',
      operationId: 'openAccount',
      summary: 'Open an account',
      description:
        'Safe to repeat with the same Idempotency-Key, or if you choose the ID: with the same content it returns the existing account.',
      scope: 'accounts:write',
      headers: OptionalIdempotencyHeadersSchema,
      body: NewAccountSchema,
      example: { ledger: 'EUR', name: 'Carol', kind: 'liability', metadata: { customer: '4711' } },
      refusals: [
        'account_id_taken',
        'metadata_too_large',
        'idempotency_key_reused',
        'balance_below_limit',
        'balance_above_limit',
        ...PARENT_REFUSALS,
      ],
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
        // Without defaults, the retry of a request to an earlier release is still the same request.
        ...((body.acceptsUpTo ?? ACCEPTS_UP_TO_DEFAULT) === ACCEPTS_UP_TO_DEFAULT
          ? {}
          : { acceptsUpTo: body.acceptsUpTo! }),
        ...withoutNulls({
          parentId: body.parentId,
          balanceMin: body.balanceMin,
          balanceMax: body.balanceMax,
        }),
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
}

function mountChanges(routes: RouteTable, accounts: AccountService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'patch',
      path: '/v1/accounts/{id}',
      operationId: 'changeAccount',
      summary: 'Change an account',
      description:
        'Its name and metadata, limits, freezes, parent, and what it accepts from others; null clears a member. A limit that the balance violates is refused. If-Match must contain the ETag you read.',
      scope: 'accounts:write',
      params: IdSchema,
      headers: AccountChangeHeadersSchema,
      body: AccountChangeSchema,
      example: { acceptsFrom: ['*'] },
      refusals: [
        'account_not_found',
        'precondition_failed',
        'precondition_required',
        'metadata_too_large',
        'balance_below_limit',
        'balance_above_limit',
        ...PARENT_REFUSALS,
        'account_tree_too_large',
      ],
      responses: { 200: jsonOf('The account as it is now', AccountSchema, ETAG) },
    },
    async ({ exchange, params, headers, body }) => {
      const expected = expectedVersions(headers['If-Match']);
      const { owner } = exchange.principal!;
      const actor = actorOf(exchange);
      const account = await accounts.change(
        owner,
        params.id,
        expected,
        toChange(body),
        actor,
        exchange.signal,
      );
      return respond(exchange, account, 200);
    },
  );
}

function mountClosing(routes: RouteTable, accounts: AccountService): void {
  const IdOfSpare = z.object({ id: UuidSchema.openapi({ example: DEMO.spareAccount }) });
  const closing = { ...COMMON, method: 'post', scope: 'accounts:write', params: IdOfSpare } as const;
  for (const isClosed of [true, false])
    routes.mount(
      {
        ...closing,
        ...(isClosed
          ? ({
              path: '/v1/accounts/{id}/close',
              operationId: 'closeAccount',
              summary: 'Close an account',
              description:
                'A closed account takes part in no transfer and no hold. Only one with a balance of zero and nothing pending can be closed. Safe to repeat: an account that is closed stays so.',
            } as const)
          : ({
              path: '/v1/accounts/{id}/reopen',
              operationId: 'reopenAccount',
              summary: 'Reopen an account',
              description:
                'It has the limits and freezes that it had. Safe to repeat: an account that is open stays so.',
            } as const)),
        headers: AccountClosingHeadersSchema,
        refusals: [
          'account_not_found',
          'precondition_failed',
          ...(isClosed ? ['account_not_empty' as const] : []),
        ],
        responses: { 200: jsonOf('The account as it is now', AccountSchema, ETAG) },
      },
      async ({ exchange, params, headers }) => {
        const ifMatch = headers['If-Match'];
        const expected = ifMatch === undefined ? 'any' : expectedVersions(ifMatch);
        const { owner } = exchange.principal!;
        const actor = actorOf(exchange);
        const account = await accounts.setClosed(
          owner,
          params.id,
          expected,
          isClosed,
          actor,
          exchange.signal,
        );
        return respond(exchange, account, 200);
      },
    );
}

function mountReading(routes: RouteTable, accounts: AccountService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/accounts/{id}',
      operationId: 'getAccount',
      summary: 'Get an account with its balance',
      scope: 'accounts:read',
      params: IdSchema,
      refusals: ['account_not_found'],
      responses: { 200: jsonOf('The account', AccountSchema, ETAG) },
    },
    async ({ exchange, params }) =>
      respond(exchange, await accounts.find(exchange.principal!.owner, params.id, exchange), 200),
  );
}

// Of an account that was never changed, and so of nearly all: one object per kind of response.
const UNCHANGED: Fields = { ETag: etagOf(1) };

function respond(exchange: Exchange, account: Account, status: 200 | 201, fields?: Fields): Response {
  const etag = account.revision === 1 ? UNCHANGED : { ETag: etagOf(account.revision) };
  return exchange.json(toResource(account), status, fields === undefined ? etag : { ...etag, ...fields });
}

/** Null clears a member, to what it is by default. */
function toChange({
  metadata,
  debitsFrozen,
  creditsFrozen,
  acceptsUpTo,
  ...body
}: AccountChangeBody): AccountChange {
  return {
    ...body,
    metadata: metadata === null ? {} : metadata,
    debitsFrozen: debitsFrozen === null ? false : debitsFrozen,
    creditsFrozen: creditsFrozen === null ? false : creditsFrozen,
    acceptsUpTo: acceptsUpTo === null ? ACCEPTS_UP_TO_DEFAULT : acceptsUpTo,
  };
}

function withoutNulls<T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const present = Object.entries(members).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]?: NonNullable<T[K]> };
}
