import { z } from '@hono/zod-openapi';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import type { AccountService } from '../accounts/service.ts';
import { ageCursorSchema, toAgeCursor } from '../age-cursor.ts';
import { ExchangePageSchema, ExchangeSchema } from './exchange-schemas.ts';
import type { ExchangeService } from './exchanges.ts';

const CURSOR = 'x';
const GET = {
  method: 'get',
  tag: 'Sets',
  tier: 'default',
  resource: 'database',
  scope: 'transfers:read',
} as const;
const paramsOf = (example: string) => z.object({ id: UuidSchema.openapi({ example }) });

/** Mounts the reads of exchanges. */
export function mountExchanges(
  routes: RouteTable,
  exchanges: ExchangeService,
  accounts: AccountService,
): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/exchanges/{id}',
      operationId: 'getExchange',
      summary: 'Get an exchange',
      description: 'Only the organization that exchanged sees it. Who was paid sees the transfer.',
      params: paramsOf(DEMO.exchange),
      refusals: ['exchange_not_found'],
      responses: { 200: jsonOf('The exchange', ExchangeSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(await exchanges.find(exchange.principal!.owner, params.id, exchange.signal), 200),
  );

  routes.mount(
    {
      ...GET,
      path: '/v1/transfers/{id}/exchange',
      operationId: 'getTransferExchange',
      summary: 'Get the exchange that a transfer is part of',
      params: paramsOf(DEMO.exchangeTransfer),
      refusals: ['exchange_not_found'],
      responses: { 200: jsonOf('The exchange', ExchangeSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(
        await exchanges.findByTransfer(exchange.principal!.owner, params.id, exchange.signal),
        200,
      ),
  );

  routes.mount(
    {
      ...GET,
      path: '/v1/accounts/{id}/exchanges',
      operationId: 'listAccountExchanges',
      summary: 'List the exchanges of an account, newest first',
      description:
        'Those that it paid or was paid by, and those that went through it as a liquidity account.',
      params: paramsOf(DEMO.aliceDollars),
      query: pageQuerySchema(ageCursorSchema(CURSOR)),
      refusals: ['account_not_found'],
      compressible: true,
      responses: { 200: jsonOf('A page of exchanges', ExchangePageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { owner } = exchange.principal!;
      const { cursor = null, limit } = query;
      const page = await exchanges.listByAccount(owner, params.id, cursor, limit, exchange.signal);
      // Only an empty page needs to check whether the account exists.
      if (page.exchanges.length === 0) await accounts.find(owner, params.id, exchange);
      const nextCursor = page.next === null ? null : toAgeCursor(CURSOR, page.next);
      return exchange.json({ exchanges: page.exchanges, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );
}
