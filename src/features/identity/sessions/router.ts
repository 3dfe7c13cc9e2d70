import { z } from '@hono/zod-openapi';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { CLEARED_COOKIE, isByCookie } from '../session-cookie.ts';
import {
  respondWithSession,
  SessionSchema,
  StartedSessionSchema,
  toSessionResource,
} from '../session-resource.ts';
import { signedIn } from '../visitor.ts';
import { OrganizationChoiceSchema, SessionIdSchema, SessionListSchema } from './schemas.ts';
import type { SessionService } from './service.ts';

const COMMON = { tag: 'Sessions', tier: 'non-critical', resource: 'database' } as const;
const PATH = '/v1/sessions/{id}';
const ONE = { params: z.object({ id: SessionIdSchema }), refusals: ['session_not_found'] } as const;
/** As much as a body of these routes can need. */
const BODY_LIMIT_BYTES = 8192;

/** Mounts what people do with their sessions under `/v1/sessions`. */
export function mountSessions(routes: RouteTable, sessions: SessionService): void {
  mountOwnSessions(routes, sessions);
  mountEnding(routes, sessions);
}

function mountOwnSessions(routes: RouteTable, sessions: SessionService): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: '/v1/sessions',
      operationId: 'listSessions',
      summary: 'List your sessions, oldest first',
      scope: 'me:read',
      responses: { 200: jsonOf('All of your sessions', SessionListSchema) },
    },
    async ({ request, exchange }) => {
      const person = signedIn(request, exchange);
      const list = await sessions.list(person);
      return exchange.json({ sessions: list.map((one) => toSessionResource(one, person.sessionId)) }, 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      ...ONE,
      method: 'get',
      path: PATH,
      operationId: 'getSession',
      summary: 'Get one of your sessions',
      scope: 'me:read',
      responses: { 200: jsonOf('The session', SessionSchema) },
    },
    async ({ request, exchange, params }) => {
      const person = signedIn(request, exchange);
      return exchange.json(toSessionResource(await sessions.get(person, params.id), person.sessionId), 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'put',
      path: '/v1/sessions/current/organization',
      operationId: 'switchOrganization',
      summary: 'Act for another organization',
      description: 'The session gets another token; the one before it stops working within 5 seconds.',
      scope: 'me:write',
      bodyLimitBytes: BODY_LIMIT_BYTES,
      body: OrganizationChoiceSchema,
      example: { organization: DEMO.owner },
      refusals: ['organization_not_found', 'session_not_found'],
      responses: { 200: jsonOf('The session, with its new token', StartedSessionSchema) },
    },
    async ({ request, exchange, body }) => {
      const rotated = await sessions.actFor(signedIn(request, exchange), body.organization ?? '');
      return respondWithSession(exchange, rotated, 200, isByCookie(request));
    },
  );
}

function mountEnding(routes: RouteTable, sessions: SessionService): void {
  routes.mount(
    {
      ...COMMON,
      ...ONE,
      method: 'delete',
      path: PATH,
      operationId: 'endSession',
      summary: 'End one of your sessions, or sign out',
      description: 'It stops working within 5 seconds, everywhere.',
      scope: 'me:write',
      refusals: ['session_not_found'],
      responses: { 204: { description: 'The session has ended' } },
    },
    async ({ request, exchange, params }) => {
      const person = signedIn(request, exchange);
      const { id } = await sessions.end(person, params.id);
      const isOwnCookie = id === person.sessionId && isByCookie(request);
      return exchange.empty(204, isOwnCookie ? CLEARED_COOKIE : undefined);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: '/v1/sessions',
      operationId: 'endOtherSessions',
      summary: 'End all of your other sessions',
      description: 'They stop working within 5 seconds, everywhere. The session of this request goes on.',
      scope: 'me:write',
      responses: { 204: { description: 'All others have ended' } },
    },
    async ({ request, exchange }) => {
      await sessions.endOthers(signedIn(request, exchange));
      return exchange.empty(204);
    },
  );
}
