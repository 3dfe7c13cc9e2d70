import type { Exchange } from '../../../envelope/exchange.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import { visitorOf } from '../visitor.ts';
import type { PasswordReset } from './password-reset.ts';
import {
  AcceptedSchema,
  ConfirmationSchema,
  ResetCompletionSchema,
  ResetRequestSchema,
  SignUpSchema,
} from './schemas.ts';
import type { SignUp } from './sign-up.ts';

const BODY_LIMIT_BYTES = 8192;
const COMMON = {
  tag: 'Users',
  tier: 'non-critical',
  resource: 'database',
  method: 'post',
  scope: null,
  bodyLimitBytes: BODY_LIMIT_BYTES,
} as const;
const ALWAYS = ['https_required', 'too_many_attempts', 'dependency_unavailable'] as const;
const MAILS = ['mail_queue_full', 'secrets_key_missing'] as const;
const HASHES = ['sign_in_overloaded'] as const;

/** What the routes of people who are not signed in need. */
export interface UserRoutes {
  readonly signUp: SignUp;
  readonly reset: PasswordReset;
  /** Throws `https_required` unless passwords may be sent to this Atlas. */
  requirePrivate(): void;
}

/** Mounts what people do under `/v1/users` before they have a session. Which addresses are known is never said. */
export function mountUsers(routes: RouteTable, ports: UserRoutes): void {
  mountSignUp(routes, ports);
  mountReset(routes, ports);
}

function mountSignUp(routes: RouteTable, { signUp, requirePrivate }: UserRoutes): void {
  routes.mount(
    {
      ...COMMON,
      path: '/v1/users',
      operationId: 'signUp',
      summary: 'Sign up',
      description:
        'Needs no key. The setting `SIGN_UP` says who can. The address has to be confirmed with the mail that is sent ' +
        'to it, unless an invitation does. The response is the same if the address is known; its owner gets a mail ' +
        'that says so. Repeating it sends another mail.',
      body: SignUpSchema,
      example: { email: 'ada@example.com', password: DEMO_PERSON.password, name: 'Ada Lovelace' },
      refusals: [
        ...ALWAYS,
        ...MAILS,
        ...HASHES,
        'sign_up_closed',
        'password_unsuitable',
        'invitation_invalid',
      ],
      responses: {
        202: jsonOf(
          'A mail is on its way if the address can be used, or the invitation was accepted',
          AcceptedSchema,
        ),
      },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      const { email, password, name, invitation } = body;
      const person = { email, password, name: name ?? '', invitation: invitation ?? undefined };
      await signUp.signUp(person, visitorOf(request, exchange));
      return invitation ? exchange.json(INVITED, 202) : accepted(exchange);
    },
  );

  routes.mount(
    {
      ...COMMON,
      path: '/v1/users/confirmations',
      operationId: 'confirmAddress',
      summary: 'Confirm your mail address',
      description:
        'Needs no key, but the token in the mail and the password of the sign-up: without it, somebody who signs up ' +
        'with your address would have an account as soon as you open the link. The token works once, for 30 minutes.',
      body: ConfirmationSchema,
      example: { token: 'atlas_once_…', password: DEMO_PERSON.password },
      refusals: [...ALWAYS, ...HASHES, 'one_time_token_invalid'],
      responses: { 204: { description: 'The address is confirmed: sign in' } },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      await signUp.confirm(body.token, body.password, visitorOf(request, exchange));
      return exchange.empty(204);
    },
  );
}

function mountReset(routes: RouteTable, { reset, requirePrivate }: UserRoutes): void {
  routes.mount(
    {
      ...COMMON,
      path: '/v1/users/password-resets',
      operationId: 'requestPasswordReset',
      summary: 'Request a mail to reset your password',
      description: 'Needs no key. The response is the same if nobody has the address.',
      body: ResetRequestSchema,
      example: { email: DEMO_PERSON.email },
      refusals: [...ALWAYS, ...MAILS],
      responses: { 202: jsonOf('A mail is on its way if somebody has the address', AcceptedSchema) },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      await reset.request(body.email, visitorOf(request, exchange));
      return accepted(exchange);
    },
  );

  routes.mount(
    {
      ...COMMON,
      path: '/v1/users/password-resets/completions',
      operationId: 'completePasswordReset',
      summary: 'Reset your password',
      description:
        'Needs no key, but the token in the mail, which works once, for 30 minutes. All of your sessions end, and none ' +
        'is started: sign in with the new password, and with the second factor if you have one.',
      body: ResetCompletionSchema,
      example: { token: 'atlas_once_…', password: DEMO_PERSON.password },
      refusals: [...ALWAYS, ...MAILS, ...HASHES, 'one_time_token_invalid', 'password_unsuitable'],
      responses: { 204: { description: 'The password is set: sign in' } },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      await reset.complete(body.token, body.password, visitorOf(request, exchange));
      return exchange.empty(204);
    },
  );
}

// The same for somebody who had an account before, whose password stays.
const INVITED = { message: 'The invitation was accepted. Sign in with the address and its password.' };
const ACCEPTED = { message: 'If this address can be used, a mail is on its way to it.' };

function accepted(exchange: Exchange): Response {
  return exchange.json(ACCEPTED, 202);
}
