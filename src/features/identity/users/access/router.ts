import { jsonOf, type RouteTable } from '../../../../http/route.ts';
import { actorOf } from '../../../actor.ts';
import type { UserAccess } from './repository.ts';
import { UserAccessListSchema, UserAccessSchema, UserIdSchema, UserQuerySchema } from './schemas.ts';
import type { UserAccessService } from './service.ts';

const COMMON = { tag: 'Operators', tier: 'default', resource: 'database' } as const;
const LOCK = {
  ...COMMON,
  path: '/v1/operator/users/{id}/lock',
  scope: 'operator:write',
  params: UserIdSchema,
  refusals: ['user_not_found'],
} as const;

/** Mounts `/v1/operator/users`. */
export function mountUserAccess(routes: RouteTable, users: UserAccessService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/operator/users',
      operationId: 'findUser',
      summary: 'Find a user by their mail address',
      description: 'An empty list if nobody has it.',
      scope: 'operator:read',
      query: UserQuerySchema,
      responses: { 200: jsonOf('The user, if there is one', UserAccessListSchema) },
    },
    async ({ exchange, query }) => {
      const user = await users.findByEmail(query.email, exchange.signal);
      return exchange.json({ users: user === null ? [] : [toResource(user)] }, 200);
    },
  );

  routes.mount(
    {
      ...LOCK,
      method: 'put',
      operationId: 'lockUser',
      summary: 'Lock a user out',
      description:
        'All of their sessions end within 5 seconds, and nobody signs in as them. The open invitations that they sent are withdrawn. Their memberships stay, and so do the API keys that they created: revoke those. Locking a user again changes nothing.',
      responses: { 200: jsonOf('The locked user', UserAccessSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(toResource(await users.lock(params.id, actorOf(exchange), exchange.signal)), 200),
  );

  routes.mount(
    {
      ...LOCK,
      method: 'delete',
      operationId: 'unlockUser',
      summary: 'Let a user in again',
      description: 'They can sign in. Sessions of before stay ended.',
      responses: { 200: jsonOf('The user', UserAccessSchema) },
    },
    async ({ exchange, params }) =>
      exchange.json(toResource(await users.unlock(params.id, actorOf(exchange), exchange.signal)), 200),
  );
}

function toResource({ createdAt, confirmedAt, lockedAt, ...user }: UserAccess) {
  return {
    ...user,
    createdAt: createdAt.toISOString(),
    confirmedAt: confirmedAt?.toISOString() ?? null,
    lockedAt: lockedAt?.toISOString() ?? null,
  };
}
