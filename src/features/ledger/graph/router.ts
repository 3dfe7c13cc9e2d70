import { z } from '@hono/zod-openapi';
import { cursorSchema, linkNext, NEXT, toHex } from '../../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import type { NeighborPosition } from './domain.ts';
import {
  CycleListSchema,
  MaxDepthSchema,
  NeighborPageSchema,
  PathListSchema,
  SinceSchema,
} from './schemas.ts';
import type { GraphService } from './service.ts';

const GET = {
  method: 'get',
  tag: 'Graph',
  tier: 'non-critical',
  resource: 'database',
  scope: 'transfers:read',
  alsoScope: 'accounts:read',
  compressible: true,
  refusals: ['account_not_found'],
} as const;
const BOUNDS =
  'Reads the newest transfers up to a bound, for two seconds at most; `truncated` says if there may be more.';
const OTHERS =
  'While organizations are isolated, accounts of others are found where your transfers name them, and nothing beyond.';

const IdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.alice }) });
// The letter keeps the cursors of different lists apart. The total has up to 2^54.
const CursorSchema = cursorSchema(
  /^g[0-9a-f]{60}$/,
  (text): NeighborPosition => ({
    version: Number.parseInt(text.slice(1, 15), 16),
    total: BigInt(`0x${text.slice(15, 29)}`),
    id: text.slice(29),
  }),
);
const toCursor = ({ version, total, id }: NeighborPosition) =>
  `g${toHex(version, 14)}${toHex(total, 14)}${id.replaceAll('-', '')}`;

/** Mounts `/v1/graph`. */
export function mountGraph(routes: RouteTable, graph: GraphService): void {
  mountNeighbors(routes, graph);
  mountWays(routes, graph);
}

function mountNeighbors(routes: RouteTable, graph: GraphService): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/graph/accounts/{id}/neighbors',
      operationId: 'listNeighbors',
      summary: 'List who an account has paid and was paid by, largest sums first',
      description: `All pages are of the moment of the first one. ${BOUNDS}`,
      params: IdSchema,
      query: pageQuerySchema(CursorSchema).extend({ since: SinceSchema }),
      responses: { 200: jsonOf('A page of accounts', NeighborPageSchema, NEXT) },
    },
    async ({ request, exchange, params, query }) => {
      const { owner } = exchange.principal!;
      const { limit, cursor: after = null, since = null } = query;
      const search = { owner, accountId: params.id, after, since, limit };
      const { next, ...page } = await graph.neighbors(search, exchange.signal);
      const nextCursor = next === null ? null : toCursor(next);
      return exchange.json({ ...page, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );
}

function mountWays(routes: RouteTable, graph: GraphService): void {
  routes.mount(
    {
      ...GET,
      path: '/v1/graph/paths',
      operationId: 'findPaths',
      summary: 'Find the paths that money can have taken from one account to another',
      description: `The first 100 that visit no account twice, shortest first. ${BOUNDS} ${OTHERS}`,
      query: z
        .strictObject({
          from: UuidSchema.openapi({ description: 'An account of yours.', example: DEMO.bank }),
          to: UuidSchema.openapi({ description: 'Any account.', example: DEMO.bob }),
          maxDepth: MaxDepthSchema,
          since: SinceSchema,
        })
        .refine(({ from, to }) => from !== to, {
          path: ['to'],
          error: 'must differ from `from`; GET /v1/graph/accounts/{id}/cycles finds cycles',
        }),
      responses: { 200: jsonOf('The paths', PathListSchema) },
    },
    async ({ exchange, query: { from, to, maxDepth: depthMax, since = null } }) => {
      const { owner } = exchange.principal!;
      return exchange.json(await graph.paths({ owner, from, to, depthMax, since }, exchange.signal), 200);
    },
  );

  routes.mount(
    {
      ...GET,
      path: '/v1/graph/accounts/{id}/cycles',
      operationId: 'findCycles',
      summary: 'Find the rings in which money comes back to an account',
      description: `The first 100 that visit no other account twice, shortest first. ${BOUNDS} ${OTHERS}`,
      params: IdSchema,
      query: z.strictObject({ maxDepth: MaxDepthSchema, since: SinceSchema }),
      responses: { 200: jsonOf('The cycles', CycleListSchema) },
    },
    async ({ exchange, params, query: { maxDepth: depthMax, since = null } }) => {
      const search = { owner: exchange.principal!.owner, from: params.id, depthMax, since };
      return exchange.json(await graph.cycles(search, exchange.signal), 200);
    },
  );
}
