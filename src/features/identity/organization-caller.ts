import type { Exchange } from '../../envelope/exchange.ts';
import { AtlasError } from '../../errors.ts';
import { actorOf } from '../actor.ts';
import type { OrganizationCaller } from './standing/service.ts';

/** In a path, the organization that the caller acts for. */
const CURRENT = 'current';

/** The error for an organization that does not exist, or that the caller does not act for. */
export const organizationNotFound = (id: string) =>
  new AtlasError('organization_not_found', `There is no organization with the ID ${id}.`);

/**
 * Returns the caller of a request for the organization with this ID, which may be `current`. Any but that which the
 * caller acts for does not exist. For test keys none does: they reach test data only, and people are none.
 */
export function organizationCallerOf(exchange: Exchange, id: string): OrganizationCaller {
  const { organization, owner } = exchange.principal!;
  const isOwn = id === organization || id === CURRENT;
  if (organization === '' || owner !== organization || !isOwn) throw organizationNotFound(id);
  return callerOf(exchange);
}

/** Returns the caller of a request that acts for a person. Its scope is one that only sessions have. */
export function personOf(exchange: Exchange): OrganizationCaller & { readonly userId: string } {
  const caller = callerOf(exchange);
  return { ...caller, organization: '', userId: caller.userId! };
}

function callerOf(exchange: Exchange): OrganizationCaller {
  const { organization, keyId, userId } = exchange.principal!;
  return { organization, keyId, userId, actor: actorOf(exchange) };
}
