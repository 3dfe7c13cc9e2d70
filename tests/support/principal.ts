import type { Principal } from '../../src/envelope/exchange.ts';

/** Returns the principal of a key of this owner, which has the owner's name as its ID, unless `facts` say otherwise. */
export function principalOf(owner: string, facts: Partial<Principal> = {}): Principal {
  const organization = owner;
  return {
    owner,
    organization,
    kind: 'key',
    keyId: owner,
    userId: null,
    scopes: [],
    suspended: false,
    quota: null,
    ...facts,
  };
}
