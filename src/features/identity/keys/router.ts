import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { AtlasError } from '../../../errors.ts';
import { cursorSchema, linkNext, NEXT, toHex } from '../../../http/cursor.ts';
import { IS_REPLAYED, OptionalIdempotencyHeadersSchema, REPLAYED } from '../../../http/idempotency.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { pageQuerySchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { type KeyCaller, OVERLAP_SECONDS_DEFAULT } from './domain.ts';
import type { ManagedKeys } from './managed-keys.ts';
import type { KeyPosition } from './repository.ts';
import {
  KeyIdSchema,
  KeyPageSchema,
  KeySchema,
  NewKeyResponseSchema,
  newKeySchema,
  RotatedKeySchema,
  RotationSchema,
} from './schemas.ts';

const COMMON = { tag: 'API keys', tier: 'default', resource: 'database' } as const;
const LOCATION = { Location: { description: 'Path of the key', schema: { type: 'string' } } };
const CREATION_REFUSALS = [
  'scopes_exceeded',
  'isolation_off',
  'test_space_taken',
  'too_many_api_keys',
  'idempotency_key_reused',
  'secrets_key_missing',
] as const;
const IdSchema = z.object({ id: KeyIdSchema });
const TIME_DIGITS = 14;
// The time and the ID of the last key (16 digits and letters), in hexadecimal: cursors have no upper case, and IDs do.
const CursorSchema = cursorSchema(
  /^k[0-7][0-9a-f]{13}(?:3[0-9]|[46][1-9a-f]|[57][0-9a]){16}$/,
  (text): KeyPosition => ({
    createdUs: BigInt(`0x${text.slice(1, 1 + TIME_DIGITS)}`).toString(),
    id: Buffer.from(text.slice(1 + TIME_DIGITS), 'hex').toString('latin1'),
  }),
);

/** `/v1/api-keys`. */
export function mountKeys(
  routes: RouteTable,
  keys: ManagedKeys,
  scopes: readonly [string, ...string[]],
): void {
  mountCreation(routes, keys, scopes);
  mountReading(routes, keys);
  mountEnding(routes, keys);
}

function mountCreation(routes: RouteTable, keys: ManagedKeys, scopes: readonly [string, ...string[]]): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/api-keys',
      operationId: 'createApiKey',
      summary: 'Create an API key',
      description:
        'The response contains the key, which is not shown again. With an Idempotency-Key, a retry within 24 hours ' +
        'returns the same key instead of creating another one.',
      scope: 'keys:write',
      headers: OptionalIdempotencyHeadersSchema,
      body: newKeySchema(scopes),
      example: { name: 'Shop', scopes: ['accounts:read', 'transfers:write'], expiresInSeconds: 7_776_000 },
      refusals: CREATION_REFUSALS,
      responses: {
        201: jsonOf('The key, with its token', NewKeyResponseSchema, { ...REPLAYED, ...LOCATION }),
      },
    },
    async ({ exchange, headers, body }) => {
      const idempotencyKey = headers['Idempotency-Key'];
      const caller = callerOf(exchange);
      const content = {
        kind: body.kind ?? caller.kind,
        name: body.name,
        scopes: body.scopes,
        expiresInSeconds: body.expiresInSeconds ?? null,
      };
      const { result, replayed } = await keys.create(caller, content, idempotencyKey, exchange.signal);
      return created(exchange, result, replayed);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/api-keys/{id}/rotate',
      operationId: 'rotateApiKey',
      summary: 'Replace an API key by a new one',
      description:
        'The new key has the name, kind, scopes and lifetime of the old one, which stays valid for the overlap. It ' +
        'expires at the latest when your own key does, if that expires.',
      scope: 'keys:write',
      params: IdSchema,
      headers: OptionalIdempotencyHeadersSchema,
      body: RotationSchema,
      example: { overlapSeconds: 3600 },
      refusals: ['api_key_not_found', 'api_key_ended', ...CREATION_REFUSALS],
      responses: {
        201: jsonOf('The new key, with its token', RotatedKeySchema, { ...REPLAYED, ...LOCATION }),
      },
    },
    async ({ exchange, params, headers, body }) => {
      const { result, replayed } = await keys.rotate(
        callerOf(exchange),
        params.id,
        body.overlapSeconds ?? OVERLAP_SECONDS_DEFAULT,
        headers['Idempotency-Key'],
        exchange.signal,
      );
      return created(exchange, result, replayed);
    },
  );
}

function mountReading(routes: RouteTable, keys: ManagedKeys): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/api-keys',
      operationId: 'listApiKeys',
      summary: 'List the API keys of your organization, oldest first',
      description:
        'Also those that were revoked or have expired, for 30 days. A test key sees test keys only.',
      scope: 'keys:read',
      query: pageQuerySchema(CursorSchema),
      compressible: true,
      responses: { 200: jsonOf('A page of keys', KeyPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { cursor = null, limit } = query;
      const page = await keys.list(callerOf(exchange), cursor, limit, exchange.signal);
      const nextCursor = page.next === null ? null : toCursor(page.next);
      return exchange.json({ keys: page.keys, nextCursor }, 200, linkNext(request.url, nextCursor));
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/api-keys/{id}',
      operationId: 'getApiKey',
      summary: 'Get an API key, without its token',
      scope: 'keys:read',
      params: IdSchema,
      refusals: ['api_key_not_found'],
      responses: { 200: jsonOf('The key', KeySchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(await keys.find(callerOf(exchange), params.id, exchange.signal), 200),
  );
}

function mountEnding(routes: RouteTable, keys: ManagedKeys): void {
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: '/v1/api-keys/{id}/revoke',
      operationId: 'revokeApiKey',
      summary: 'Revoke an API key',
      description:
        'The key stops working within 5 seconds, everywhere. A key can revoke itself. Repeating it changes nothing.',
      scope: 'keys:write',
      params: z.object({ id: KeyIdSchema.openapi({ example: DEMO.spareKey }) }),
      refusals: ['api_key_not_found'],
      responses: { 200: jsonOf('The revoked key', KeySchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(await keys.revoke(callerOf(exchange), params.id, exchange.signal), 200),
  );
}

function created(exchange: Exchange, key: { readonly id: string }, replayed: boolean): Response {
  const fields = { Location: `/v1/api-keys/${key.id}`, ...(replayed && IS_REPLAYED) };
  return exchange.json(key, 201, fields);
}

function callerOf(exchange: Exchange): KeyCaller {
  const { organization, owner, keyId, userId, scopes } = exchange.principal!;
  if (organization === '')
    throw new AtlasError('forbidden', 'Only the keys and members of an organization can manage its keys.');
  return {
    organization,
    keyId,
    userId,
    scopes,
    kind: owner === organization ? 'live' : 'test',
    actor: actorOf(exchange),
  };
}

function toCursor({ createdUs, id }: KeyPosition): string {
  return `k${toHex(BigInt(createdUs), TIME_DIGITS)}${Buffer.from(id, 'latin1').toString('hex')}`;
}
