import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import type { FormerSession } from '../session.ts';
import { requireSameOrigin } from '../session-cookie.ts';
import { respondWithSession, StartedSessionSchema } from '../session-resource.ts';
import { visitorOf } from '../visitor.ts';
import { SignInSchema } from './schemas.ts';
import type { SignIn } from './sign-in.ts';

// As much as a body can need.
const BODY_LIMIT_BYTES = 8192;

/** What signing in needs. */
export interface SignInRoutes {
  readonly signIn: SignIn['signIn'];
  /** Returns the session that a request was sent with, if it may be used. */
  sessionOf(request: Request): Promise<FormerSession | null>;
  /** Throws `https_required` unless passwords may be sent to this Atlas. */
  requirePrivate(): void;
  readonly publicOrigin: string | null;
}

/** Mounts `POST /v1/sessions`. */
export function mountSignIn(routes: RouteTable, ports: SignInRoutes): void {
  const { signIn, sessionOf, requirePrivate, publicOrigin } = ports;
  routes.mount(
    {
      tag: 'Sessions',
      tier: 'non-critical',
      resource: 'database',
      method: 'post',
      path: '/v1/sessions',
      operationId: 'signIn',
      summary: 'Sign in',
      description:
        'Needs no key. Whether the address is unknown, the password wrong, or the user not confirmed or locked out is ' +
        'not said. A session that the request was sent with ends. Repeating it starts another session; of one user ' +
        'there are at most 20, and the oldest ends.',
      scope: null,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      body: SignInSchema,
      example: { email: DEMO_PERSON.email, password: DEMO_PERSON.password },
      refusals: [
        'sign_in_failed',
        'second_factor_required',
        'too_many_attempts',
        'sign_in_overloaded',
        'https_required',
        'cross_site_request',
        'organization_not_found',
        'dependency_unavailable',
        'secrets_key_missing',
        'mail_queue_full',
      ],
      responses: { 201: jsonOf('The session, with its token', StartedSessionSchema) },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      const isCookie = body.cookie === true;
      // Or a page of another site could sign people in as somebody else.
      if (isCookie) requireSameOrigin(request, publicOrigin);
      const visitor = visitorOf(request, exchange);
      const { email, password } = body;
      const credential = {
        email,
        password,
        code: body.code ?? undefined,
        organization: body.organization ?? undefined,
      };
      const started = await signIn(credential, visitor, await sessionOf(request));
      return respondWithSession(exchange, started, 201, isCookie);
    },
  );
}
