import { AtlasError } from '../../../errors.ts';
import { type Idempotency, inTransaction } from '../../idempotency.ts';
import type { MemberService } from '../members/service.ts';
import { organizationNotFound } from '../organization-caller.ts';
import { personalSpaceOf } from '../organization-id.ts';
import type { OrganizationCaller, Standing } from '../standing/service.ts';
import { type OrganizationResource, toResource } from './organization-resource.ts';
import type { OrganizationRepository, OwnOrganization } from './repository.ts';

/** How many organizations a user who creates another one may own. */
export const OWNED_ORGANIZATIONS_MAX = 20;

/** Organizations as their members see and change them. Everything throws `AtlasError`. */
export interface OwnOrganizations {
  /** Lists all organizations of a user, by ID. */
  list(userId: string, signal?: AbortSignal): Promise<OwnOrganization[]>;
  /** Creates an organization, whose owner is the user of the caller. */
  create(
    caller: OrganizationCaller & { readonly userId: string },
    name: string,
    idempotencyKey: string | undefined,
    signal?: AbortSignal,
  ): Promise<{ result: OrganizationResource; replayed: boolean }>;
  rename(caller: OrganizationCaller, name: string, signal?: AbortSignal): Promise<OrganizationResource>;
}

/** Dependencies of the organizations of users. */
export interface OwnOrganizationPorts {
  readonly repository: OrganizationRepository;
  readonly addMember: MemberService['add'];
  readonly standing: Standing;
  readonly idempotency: Idempotency;
  /** Whether everybody may create one, or only those who own one. */
  readonly isOpen: boolean;
}

export function createOwnOrganizations(ports: OwnOrganizationPorts): OwnOrganizations {
  const { repository, addMember, standing, idempotency, isOpen } = ports;
  return {
    list: (userId, signal) => repository.listOf(userId, signal),
    create: (caller, name, key, signal) =>
      idempotency.run(
        { owner: personalSpaceOf(caller.userId), key, content: ['createOrganization', name] },
        inTransaction(repository.transaction, signal, async (tx) => {
          const { userId, actor } = caller;
          const { owned, active } = await repository.countOwned(tx, userId);
          await standing.require(tx, caller, 'me:write');
          if (!isOpen && !active)
            throw new AtlasError(
              'organization_creation_closed',
              'Only owners of an organization can create another one.',
            );
          if (owned >= OWNED_ORGANIZATIONS_MAX)
            throw new AtlasError(
              'too_many_organizations',
              `You own ${owned} organizations, and can create one while you own fewer than ${OWNED_ORGANIZATIONS_MAX}.`,
            );
          const created = await repository.insert(tx, Bun.randomUUIDv7(), name, actor);
          await addMember(tx, actor, created.id, userId, 'owner');
          return toResource(created);
        }),
        signal,
      ),
    rename: (caller, name, signal) =>
      repository.transaction(
        async (tx) => {
          const { organization, actor } = caller;
          await standing.lock(tx, organization);
          await standing.require(tx, caller, 'organization:write');
          const renamed = await repository.rename(tx, organization, name, actor);
          if (renamed === undefined) throw organizationNotFound(organization);
          return toResource(renamed);
        },
        { signal },
      ),
  };
}
