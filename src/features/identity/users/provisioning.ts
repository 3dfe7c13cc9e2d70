import { randomBytes } from 'node:crypto';
import type { Actor } from '../../../utils/actor.ts';
import type { MemberService } from '../members/service.ts';
import { makeOneTimeToken } from '../one-time-token.ts';
import type { OrganizationService } from '../organizations/service.ts';
import type { PasswordHasher } from '../password-hasher.ts';
import { requireSuitable } from '../password-rules.ts';
import { requirePrivateOrigin } from '../public-origin.ts';
import type { Role } from '../roles.ts';
import type { Standing } from '../standing/service.ts';
import type { Tx, UserRepository } from './repository.ts';

/** A user to create, or to make a member, by a command on the host. */
export interface PersonToProvision {
  /** In the form of `normalizeEmail`. */
  readonly email: string;
  readonly name: string;
  readonly organization: string;
  readonly role: Role;
  /** Null to get a link with which the person chooses one. */
  readonly password: string | null;
}

/** What became of a person. */
export interface Provisioned {
  /** Whether they were no user before, or one who had never confirmed the address. */
  readonly isNew: boolean;
  /** Where they choose a password, within 30 minutes; null if they have one. */
  readonly link: string | null;
}

/**
 * Creates a user whose address counts as confirmed, and gives them a role. Somebody who is a user already only gets the
 * role: the password stays. Throws `AtlasError`: `https_required` if the link would lead nowhere.
 */
export type Provision = (person: PersonToProvision, actor: Actor) => Promise<Provisioned>;

/** Dependencies of {@link createProvision}. */
export interface ProvisionPorts {
  readonly users: UserRepository;
  readonly hasher: PasswordHasher;
  readonly standing: Pick<Standing, 'lock'>;
  readonly organizations: Pick<OrganizationService, 'get'>;
  readonly members: Pick<MemberService, 'grant'>;
  readonly publicOrigin: string | null;
}

export function createProvision(ports: ProvisionPorts): Provision {
  const { users, hasher, standing, organizations, members, publicOrigin } = ports;

  /** Returns the ID of the user, and whether they are new. A sign-up that nobody confirmed is taken over. */
  async function store(tx: Tx, actor: Actor, { email, name }: PersonToProvision, passwordHash: string) {
    const id = Bun.randomUUIDv7();
    const inserted = await users.insert(tx, { id, email, name, passwordHash, isConfirmed: true });
    if (inserted !== null) {
      const after = { email, name, isConfirmed: true };
      await users.record(tx, actor, { action: 'user.created', userId: id, after });
      return { id, isNew: true };
    }
    const known = (await users.lockByEmail(tx, email))!;
    if (known.confirmedAt !== null) return { id: known.id, isNew: false };
    // Anybody can have signed up with the address, so their password must not work.
    await users.update(tx, known.id, { name, passwordHash, isConfirmed: true });
    await users.deleteTokens(tx, known.id);
    await users.record(tx, actor, { action: 'user.confirmed', userId: known.id });
    return { id: known.id, isNew: true };
  }

  return async (person, actor) => {
    const { organization, role, password } = person;
    await organizations.get(organization);
    if (password !== null) await requireSuitable(password, person);
    const caller = { address: '', signal: new AbortController().signal };
    const passwordHash = await hasher.hash(password ?? randomBytes(32).toString('base64url'), caller);
    return users.transaction(async (tx) => {
      await standing.lock(tx, organization);
      const { id, isNew } = await store(tx, actor, person, passwordHash);
      await members.grant(tx, actor, organization, id, role);
      if (!isNew || password !== null) return { isNew, link: null };
      const origin = requirePrivateOrigin(publicOrigin);
      const { token, hash } = makeOneTimeToken();
      await users.storeToken(tx, id, 'reset_password', hash);
      return { isNew, link: `${origin}/reset-password#token=${token}` };
    });
  };
}
