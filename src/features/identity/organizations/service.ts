import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { commandActor } from '../../actor.ts';
import type { Done, Idempotency, Tx } from '../../idempotency.ts';
import { isNewOrganizationId, OPERATORS, UNUSABLE_IDS } from '../organization-id.ts';
import type { Organization, OrganizationRepository } from './repository.ts';

/** What operators do with organizations. They throw `organization_not_found` if there is none with the ID. */
export interface OrganizationService {
  /** Creates an organization, which needs no key yet, or renames it. Throws if a new one may not have the ID. */
  save(
    id: string,
    name: string,
    actor: Actor,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<Organization & { isNew: boolean }>>;
  /** Creates the organization of the demo data, unless it exists. */
  createDemo(): Promise<void>;
  get(id: string, signal?: AbortSignal): Promise<Organization>;
  /** Lists the organizations after the one with this ID, by ID. */
  list(
    afterId: string | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<{ organizations: Organization[]; nextId: string | null }>;
  /**
   * Suspends an organization: within 5 s, every worker refuses its keys with `organization_suspended`. Its data stays.
   * Suspending it again changes nothing.
   */
  suspend(
    id: string,
    actor: Actor,
    signal?: AbortSignal,
    idempotencyKey?: string,
  ): Promise<Done<Organization>>;
  /** Ends a suspension. Its keys work again within 5 s. */
  reinstate(id: string, actor: Actor, signal?: AbortSignal): Promise<Organization>;
}

export function createOrganizationService(
  repository: OrganizationRepository,
  idempotency: Idempotency,
): OrganizationService {
  const get = async (id: string, signal?: AbortSignal) => existing(id, await repository.find(id, signal));

  /**
   * Operators share their keys: they act for one Atlas. A retry changes nothing, and returns the organization as it is
   * by then: it must not say that it is suspended if it was reinstated meanwhile.
   */
  async function once<T extends Organization>(
    key: string | undefined,
    content: readonly [operation: string, id: string, ...input: unknown[]],
    work: (tx?: Tx) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<Done<T>> {
    const { result, replayed } = await idempotency.run({ owner: OPERATORS, key, content }, work, signal);
    return { result: replayed ? { ...result, ...(await get(content[1], signal)) } : result, replayed };
  }

  return {
    async save(id, name, actor, signal, key) {
      // Those of earlier releases may have any ID.
      if (!isNewOrganizationId(id)) existing(id, await repository.find(id, signal), UNUSABLE_IDS);
      const save = (tx?: Tx) => repository.save(id, name, actor, { signal, tx });
      return once(key, ['saveOrganization', id, name], save, signal);
    },
    async createDemo() {
      if ((await repository.find(DEMO.organization)) !== undefined) return;
      await repository.save(DEMO.organization, 'Example Ltd.', commandActor());
    },
    get,
    async list(afterId, limit, signal) {
      const { organizations, hasMore } = await repository.list(afterId, limit, signal);
      return { organizations, nextId: hasMore ? organizations.at(-1)!.id : null };
    },
    async suspend(id, actor, signal, key) {
      const suspend = async (tx?: Tx) =>
        existing(id, await repository.setSuspended(id, true, actor, { signal, tx }));
      return once(key, ['suspendOrganization', id], suspend, signal);
    },
    reinstate: async (id, actor, signal) =>
      existing(id, await repository.setSuspended(id, false, actor, { signal })),
  };
}

function existing(id: string, organization: Organization | undefined, why = ''): Organization {
  if (organization !== undefined) return organization;
  const missing = `There is no organization with the ID ${id}`;
  throw new AtlasError('organization_not_found', why === '' ? `${missing}.` : `${missing}, and ${why}.`);
}
