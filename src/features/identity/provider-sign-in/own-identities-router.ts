import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { signedIn } from '../visitor.ts';
import type { OwnIdentities } from './own-identities.ts';
import { IdentityListSchema, IdentityPathSchema } from './schemas.ts';

const PATH = '/v1/users/me/identities';
const COMMON = { tag: 'Users', tier: 'non-critical', resource: 'database' } as const;

/** Mounts `/v1/users/me/identities`. */
export function mountOwnIdentities(routes: RouteTable, identities: OwnIdentities): void {
  routes.mount(
    {
      ...COMMON,
      method: 'get',
      path: PATH,
      operationId: 'listIdentities',
      summary: 'List the accounts at a provider that sign you in, oldest first',
      scope: 'me:read',
      responses: { 200: jsonOf('All that are linked to you', IdentityListSchema) },
    },
    async ({ request, exchange }) => {
      const list = await identities.list(signedIn(request, exchange));
      return exchange.json({ identities: list.map(toResource) }, 200);
    },
  );

  routes.mount(
    {
      ...COMMON,
      method: 'delete',
      path: `${PATH}/{id}`,
      operationId: 'unlinkIdentity',
      summary: 'Unlink an account at a provider',
      description:
        'It no longer signs you in; sessions that exist go on, until you end them: DELETE /v1/sessions. Needs a session of the last 10 minutes. A mail reports the change. Without a password, reset it to sign in again: POST /v1/users/password-resets.',
      scope: 'me:write',
      params: IdentityPathSchema,
      refusals: ['identity_not_found', 'reauthentication_required', 'mail_queue_full', 'secrets_key_missing'],
      responses: { 204: { description: 'It is no longer linked' } },
    },
    async ({ request, exchange, params }) => {
      await identities.unlink(signedIn(request, exchange), params.id);
      return exchange.empty(204);
    },
  );
}

function toResource({ id, issuer, subject, linkedAt }: Awaited<ReturnType<OwnIdentities['list']>>[number]) {
  return { id, issuer, subject, linkedAt: linkedAt.toISOString() };
}
