import { z } from '@hono/zod-openapi';
import type { Exchange } from '../../../envelope/exchange.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { UuidSchema } from '../../../http/schemas.ts';
import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import { actorOf } from '../../actor.ts';
import { signedIn } from '../visitor.ts';
import {
  BothFactorsSchema,
  ConfirmationCodeSchema,
  EnrollmentRequestSchema,
  EnrollmentSchema,
  RecoveryCodesSchema,
} from './schemas.ts';
import type { SecondFactor } from './service.ts';

const PATH = '/v1/users/me/totp';
const OWN = {
  tag: 'Users',
  tier: 'non-critical',
  resource: 'database',
  scope: 'me:write',
  bodyLimitBytes: 8192,
} as const;
const MAILS = ['mail_queue_full', 'secrets_key_missing'] as const;
const PRIVATE = ['https_required', 'too_many_attempts', ...MAILS] as const;
const PROOF = ['password_wrong', 'reauthentication_required', 'sign_in_overloaded'] as const;
const BOTH = [...PRIVATE, ...PROOF, 'second_factor_missing', 'second_factor_wrong'] as const;
const BOTH_EXAMPLE = { password: DEMO_PERSON.password, code: '492039' };
/** Secrets that are shown once must not stay in a cache. */
const NO_STORE = { 'Cache-Control': 'no-store' };

/** Mounts `/v1/users/me/totp`, and how operators remove the second factor of others. */
export function mountSecondFactor(
  routes: RouteTable,
  factor: SecondFactor,
  requirePrivate: () => void,
): void {
  mountSetUp(routes, factor, requirePrivate);
  mountChanges(routes, factor, requirePrivate);
  mountReset(routes, factor);
}

function mountSetUp(routes: RouteTable, factor: SecondFactor, requirePrivate: () => void): void {
  routes.mount(
    {
      ...OWN,
      method: 'post',
      path: PATH,
      operationId: 'enrollSecondFactor',
      summary: 'Set up a second factor',
      description:
        'Returns the secret for an authenticator app (TOTP, RFC 6238). It counts once it is confirmed with a code. Until ' +
        'then, repeating this replaces it.',
      body: EnrollmentRequestSchema,
      example: { password: DEMO_PERSON.password },
      refusals: [...PRIVATE, ...PROOF, 'second_factor_exists'],
      responses: { 201: jsonOf('The secret, which is not shown again', EnrollmentSchema) },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      const enrollment = await factor.enroll(signedIn(request, exchange), body.password ?? undefined);
      return exchange.json(enrollment, 201, NO_STORE);
    },
  );

  routes.mount(
    {
      ...OWN,
      method: 'put',
      path: PATH,
      operationId: 'confirmSecondFactor',
      summary: 'Turn the second factor on',
      description:
        'Signing in needs a code from now on. Returns recovery codes for the day the app is lost. Sessions that exist go ' +
        'on: `DELETE /v1/sessions` ends the others. A mail reports the change.',
      body: ConfirmationCodeSchema,
      example: { code: '492039' },
      refusals: [...PRIVATE, 'second_factor_missing', 'second_factor_exists', 'second_factor_wrong'],
      responses: { 200: jsonOf('The recovery codes', RecoveryCodesSchema) },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      return shown(exchange, await factor.confirm(signedIn(request, exchange), body.code));
    },
  );
}

function mountChanges(routes: RouteTable, factor: SecondFactor, requirePrivate: () => void): void {
  routes.mount(
    {
      ...OWN,
      method: 'post',
      path: `${PATH}/remove`,
      operationId: 'removeSecondFactor',
      summary: 'Turn the second factor off',
      description: 'Needs the password and a code. A mail reports the change.',
      body: BothFactorsSchema,
      example: BOTH_EXAMPLE,
      refusals: BOTH,
      responses: { 204: { description: 'Signing in needs no code any more' } },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      await factor.remove(signedIn(request, exchange), body.password ?? undefined, body.code);
      return exchange.empty(204);
    },
  );

  routes.mount(
    {
      ...OWN,
      method: 'post',
      path: `${PATH}/recovery-codes`,
      operationId: 'replaceRecoveryCodes',
      summary: 'Replace your recovery codes',
      description: 'Needs the password and a code. The codes before end. A mail reports the change.',
      body: BothFactorsSchema,
      example: BOTH_EXAMPLE,
      refusals: BOTH,
      responses: { 201: jsonOf('The new recovery codes', RecoveryCodesSchema) },
    },
    async ({ request, exchange, body }) => {
      requirePrivate();
      const person = signedIn(request, exchange);
      return shown(exchange, await factor.replaceCodes(person, body.password ?? undefined, body.code), 201);
    },
  );
}

function mountReset(routes: RouteTable, factor: SecondFactor): void {
  routes.mount(
    {
      tag: 'Operators',
      tier: 'default',
      resource: 'database',
      method: 'delete',
      path: '/v1/operator/users/{id}/second-factor',
      operationId: 'resetSecondFactor',
      summary: 'Remove the second factor of a user',
      description:
        'For somebody who has lost the app and the recovery codes. Make sure that it is that person who asks: signing in ' +
        'then needs the password only. A mail reports the change to the user.',
      scope: 'operator:write',
      params: z.object({ id: UuidSchema }),
      refusals: ['second_factor_missing', ...MAILS],
      responses: { 204: { description: 'The user has no second factor' } },
    },
    async ({ exchange, params }) => {
      await factor.reset(params.id, actorOf(exchange), exchange.signal);
      return exchange.empty(204);
    },
  );
}

function shown(exchange: Exchange, recoveryCodes: readonly string[], status = 200): Response {
  return exchange.json({ recoveryCodes }, status, NO_STORE);
}
