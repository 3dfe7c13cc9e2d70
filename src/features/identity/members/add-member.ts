import { AtlasError } from '../../../errors.ts';
import type { Actor } from '../../../utils/actor.ts';
import { ORGANIZATIONS_OF_USER_MAX } from '../role-limits.ts';
import type { Role } from '../roles.ts';
import { MEMBERS_MAX } from './member.ts';
import type { MemberRepository, Tx } from './repository.ts';

/**
 * Adds a user in a transaction that has locked the organization, and returns their role: that which they have already,
 * if they do. Throws `AtlasError` if the organization, or the user, has reached a limit, or was deleted meanwhile.
 */
export type AddMember = (
  tx: Tx,
  actor: Actor,
  organization: string,
  userId: string,
  role: Role,
) => Promise<Role>;

export function createAddMember(
  repository: Pick<MemberRepository, 'countOrganizations' | 'find' | 'count' | 'insert' | 'record'>,
): AddMember {
  return async (tx, actor, organization, userId, role) => {
    const counted = await repository.countOrganizations(tx, userId);
    if (counted === null) throw new AtlasError('unauthenticated', 'Your user was deleted.');
    const member = await repository.find(tx, organization, userId);
    if (member !== null) return member.role;
    if (counted.all >= ORGANIZATIONS_OF_USER_MAX)
      throw new AtlasError(
        'too_many_organizations',
        `A user can be in ${ORGANIZATIONS_OF_USER_MAX} organizations.`,
      );
    if ((await repository.count(tx, organization)).members >= MEMBERS_MAX)
      throw new AtlasError('too_many_members', `An organization can have ${MEMBERS_MAX} members.`);
    await repository.insert(tx, organization, userId, role);
    await repository.record(tx, actor, { did: 'created', organization, userId, after: { role } });
    return role;
  };
}
