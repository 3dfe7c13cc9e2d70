import { z } from '@hono/zod-openapi';
import { cursorSchema, linkNext, NEXT, toHex } from '../../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { type Account, balanceOf } from './domain.ts';
import type { AccountPosition } from './repository.ts';
import { AccountPageSchema, AccountSchema, NewAccountSchema } from './schemas.ts';
import type { AccountService } from './service.ts';

const tag = 'Accounts';
// The letter keeps the cursors of different lists apart.
const CursorSchema = cursorSchema(
  /^a[0-9a-f]{46}$/,
  (text): AccountPosition => ({ createdMicros: BigInt(`0x${text.slice(1, 15)}`), id: text.slice(15) }),
);
const toCursor = ({ createdMicros, id }: AccountPosition) =>
  `a${toHex(createdMicros, 14)}${id.replaceAll('-', '')}`;

/** Mounts `/v1/accounts`. */
export function mountAccounts(routes: RouteTable, accounts: AccountService): void {
  routes.mount(
    {
      method: 'post',
      path: '/v1/accounts',
      operationId: 'openAccount',
      summary: 'Open an account',
      description:
        'If you choose the ID, the request is safe to repeat: with the same content it returns the existing account.',
      tag,
      tier: 'default',
      resource: 'database',
      scope: 'accounts:write',
      body: NewAccountSchema,
      example: { ledger: 'EUR', name: 'Carol', kind: 'liability', metadata: { customer: '4711' } },
      refusals: ['account_id_taken', 'metadata_too_large'],
      responses: {
        200: jsonOf('The existing account with this ID and content', AccountSchema),
        201: jsonOf('The new account', AccountSchema),
      },
    },
    async ({ exchange, body }) => {
      const content = {
        ledger: body.ledger,
        name: body.name ?? null,
        kind: body.kind ?? null,
        allowNegative: body.allowNegative ?? false,
        metadata: body.metadata ?? {},
      };
      const { account, created } = await accounts.open(
        body.id ?? undefined,
        exchange.principal!.owner,
        content,
        actorOf(exchange),
        exchange.signal,
      );
      const fields = { Location: `/v1/accounts/${account.id}` };
      return exchange.json(toResource(account), created ? 201 : 200, fields);
    },
  );

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
      query: pageQuerySchema(CursorSchema),
      compressible: true,
      responses: { 200: jsonOf('A page of accounts', AccountPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { accounts: page, next } = await accounts.list(
        query.cursor ?? null,
        query.limit,
        exchange.signal,
      );
      const nextCursor = next === null ? null : toCursor(next);
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
      params: z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) }),
      refusals: ['account_not_found'],
      responses: { 200: jsonOf('The account', AccountSchema) },
    },
    async ({ exchange, params }) => exchange.json(toResource(await accounts.find(params.id, exchange)), 200),
  );
}

function toResource(account: Account) {
  return { ...account, balance: balanceOf(account) };
}
