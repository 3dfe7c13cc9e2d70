import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import { CLEARED_COOKIE, isByCookie } from '../session-cookie.ts';
import { respondWithSession, StartedSessionSchema } from '../session-resource.ts';
import type { User } from '../user.ts';
import { signedIn } from '../visitor.ts';
import type { OwnUser } from './own-user.ts';
import { PasswordChangeSchema, UserSchema, UserUpdateSchema } from './schemas.ts';

const COMMON = { tag: 'Users', tier: 'non-critical', resource: 'database' } as const;
const PATH = '/v1/users/me';
const BODY_LIMIT_BYTES = 8192;

/** Mounts `/v1/users/me`. */
export function mountOwnUser(routes: RouteTable, users: OwnUser, requirePrivate: () => void): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'getOwnUser',
      summary: 'Get your own user',
      scope: 'me:read',
      responses: { 200: jsonOf('The user of the session', UserSchema) },
    },
    async ({ request, exchange }) =>
      exchange.json(toResource(await users.get(signedIn(request, exchange))), 200),
  );

  routes.mount(
    {
      ...COMMON,
      method: 'patch',
      path: PATH,
      operationId: 'updateOwnUser',
      summary: 'Change your name',
      scope: 'me:write',
      bodyLimitBytes: BODY_LIMIT_BYTES,
      body: UserUpdateSchema,
      example: { name: 'Ada Lovelace' },
      responses: { 200: jsonOf('The changed user', UserSchema) },
    },
    async ({ request, exchange, body }) =>
      exchange.json(toResource(await users.rename(signedIn(request, exchange), body.name)), 200),
  );

  routes.mount(
    {
      ...COMMON,
      method: 'put',
      path: `${PATH}/password`,
      operationId: 'changePassword',
      summary: 'Change your password',
      description:
        'All other sessions end, and this one gets another token; the one before it stops working within 5 seconds. A mail reports the change.',
      scope: 'me:write',
      bodyLimitBytes: BODY_LIMIT_BYTES,
      body: PasswordChangeSchema,
      example: { currentPassword: DEMO_PERSON.password, newPassword: 'other random words here' },
      refusals: [
        'password_wrong',
        'password_unsuitable',
        'too_many_attempts',
        'sign_in_overloaded',
        'https_required',
        'session_not_found',
        'mail_queue_full',
        'secrets_key_missing',
      ],
      responses: { 200: jsonOf('The session, with its new token', StartedSessionSchema) },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      const person = signedIn(request, exchange);
      const rotated = await users.changePassword(person, body.currentPassword, body.newPassword);
      return respondWithSession(exchange, rotated, 200, isByCookie(request));
    },
  );
  mountDeletion(routes, users);
}

function mountDeletion(routes: RouteTable, users: OwnUser): void {
  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: PATH,
      operationId: 'deleteOwnUser',
      summary: 'Delete your own user',
      description:
        'Ends all of your sessions and memberships. The organizations and what you did in them stay. Needs a session of the last 10 minutes.',
      scope: 'me:write',
      refusals: ['last_owner', 'reauthentication_required'],
      responses: { 204: { description: 'The user is deleted' } },
    },
    async ({ request, exchange }) => {
      await users.delete(signedIn(request, exchange));
      return exchange.empty(204, isByCookie(request) ? CLEARED_COOKIE : undefined);
    },
  );
}

function toResource({ id, email, name, createdAt, hasPassword, hasSecondFactor }: User) {
  return { id, email, name, createdAt: createdAt.toISOString(), hasPassword, hasSecondFactor };
}
