import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import type { FormerSession } from '../session.ts';
import { requireSameOrigin, sessionFields } from '../session-cookie.ts';
import { respondWithSession, StartedSessionSchema } from '../session-resource.ts';
import { visitorOf } from '../visitor.ts';
import { flowCookie, pendingCookie, sentCookie } from './cookie.ts';
import { PAGE_POLICY, pageOf } from './pages.ts';
import { BeginQuerySchema, CallbackQuerySchema, CompletionSchema } from './schemas.ts';
import type { ProviderSignIn } from './service.ts';

const PATH = '/v1/sessions/oidc';
const BODY_LIMIT_BYTES = 8192;
const COMMON = { tag: 'Sessions', tier: 'non-critical', resource: 'database', scope: null } as const;
const ALWAYS = ['provider_off', 'https_required', 'secrets_key_missing', 'dependency_unavailable'] as const;
const SIGN_IN = [
  'sign_in_failed',
  'too_many_attempts',
  'mail_queue_full',
  'provider_sign_in_failed',
] as const;

/** What the routes of signing in through a provider need. */
export interface ProviderRoutes {
  readonly provider: ProviderSignIn;
  /** Returns the session that a request was sent with, if it may be used. */
  sessionOf(request: Request): Promise<FormerSession | null>;
  /** Throws `https_required` unless cookies may be sent to this Atlas. */
  requirePrivate(): void;
  readonly publicOrigin: string | null;
}

/** Mounts `/v1/sessions/oidc`. */
export function mountProviderSignIn(routes: RouteTable, ports: ProviderRoutes): void {
  mountWay(routes, ports);
  mountCompletion(routes, ports);
}

function mountWay(routes: RouteTable, { provider, sessionOf, requirePrivate }: ProviderRoutes): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'signInThroughProvider',
      summary: 'Sign in through the OpenID Connect provider',
      description: 'For browsers: a link to it is enough. Needs no key.',
      query: BeginQuerySchema,
      refusals: [...ALWAYS, 'provider_unavailable'],
      responses: {
        303: {
          description: 'To the provider',
          headers: { Location: { description: 'At the provider', schema: { type: 'string' } } },
        },
      },
    },
    async ({ request, exchange, query }) => {
      requirePrivate();
      const { redirect, recent, invitation = null } = query;
      const options = { redirect, isRecent: recent === 'true', invitation, former: await sessionOf(request) };
      const { location, cookie } = await provider.begin(options, exchange.signal);
      const fields = { ...flowCookie(cookie), Location: location };
      return exchange.respond(null, 303, exchange.responseHeaders.empty, fields);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: `${PATH}/callback`,
      operationId: 'finishProviderSignIn',
      summary: 'Come back from the OpenID Connect provider',
      description:
        'The provider sends browsers here. The page sets the cookie of the session, and goes on to the path that the ' +
        'sign-in was started with; or it asks for the password or the code that is missing.',
      query: CallbackQuerySchema,
      refusals: [
        ...ALWAYS,
        ...SIGN_IN,
        'provider_unavailable',
        'provider_email_unverified',
        'sign_up_closed',
        'invitation_invalid',
      ],
      responses: { 200: { description: 'A page', content: { 'text/html': { schema: z.string() } } } },
    },
    async ({ request, exchange }) => {
      requirePrivate();
      const visitor = visitorOf(request, exchange);
      const outcome = await provider.finish(new URL(request.url), sentCookie(request), visitor);
      const cookie =
        outcome.kind === 'signed in' ? sessionFields(outcome.started, true) : pendingCookie(outcome.secret);
      return respondWithPage(exchange, pageOf(outcome), cookie);
    },
  );
}

function mountCompletion(routes: RouteTable, ports: ProviderRoutes): void {
  const { provider, sessionOf, requirePrivate, publicOrigin } = ports;
  routes.mount(
    {
      ...COMMON,
      method: 'post',
      path: `${PATH}/completions`,
      operationId: 'completeProviderSignIn',
      summary: 'Prove what the provider does not',
      description:
        'For the page that the way back from the provider ends on, with its cookie: the password of the user to link, ' +
        'and the code of the second factor if there is one.',
      bodyLimitBytes: BODY_LIMIT_BYTES,
      body: CompletionSchema,
      example: { password: DEMO_PERSON.password },
      refusals: [
        ...ALWAYS,
        ...SIGN_IN,
        'second_factor_required',
        'reauthentication_required',
        'sign_in_overloaded',
        'cross_site_request',
        'organization_not_found',
      ],
      responses: {
        201: jsonOf('The session, whose token is in the cookie', StartedSessionSchema),
        204: { description: 'The identity is linked to the user of the session of this request' },
      },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      requireSameOrigin(request, publicOrigin);
      const proof = { password: body.password ?? undefined, code: body.code ?? undefined };
      const visitor = visitorOf(request, exchange);
      const started = await provider.complete(sentCookie(request), proof, visitor, await sessionOf(request));
      return started === null ? exchange.empty(204) : respondWithSession(exchange, started, 201, true);
    },
  );
}

function respondWithPage(
  exchange: Exchange,
  html: string,
  cookie: Readonly<Record<string, string>>,
): Response {
  return exchange.respond(html, 200, exchange.responseHeaders.empty, {
    ...cookie,
    'content-type': 'text/html; charset=UTF-8',
    'content-security-policy': PAGE_POLICY,
    'referrer-policy': 'no-referrer',
  });
}
