import { type Role, scopesOfRoles } from '../../src/features/identity/roles.ts';
import { PERSONAL_SCOPES } from '../../src/features/identity/scope-kinds.ts';
import { ALL_SCOPES } from '../../src/features.ts';

/** An entry of the audit log: the order of these is the order in which the changes took effect. */
export interface AuditedChange {
  readonly action: string;
  readonly targetId: string;
  readonly actor: {
    readonly kind: string;
    readonly id: string;
    readonly userId?: string;
    readonly requestId: string;
  };
  readonly before: { readonly role?: Role } | null;
  readonly after: {
    readonly role?: Role;
    readonly email?: string;
    readonly scopes?: readonly string[];
  } | null;
}

interface Invitation {
  readonly email: string;
  readonly role: Role;
  readonly invitedBy: string;
}

const ROLE_SCOPES = scopesOfRoles(ALL_SCOPES);

/** Who may do what in one organization: the rules of the documentation in a few lines, for comparison with Atlas. */
export class AccessModel {
  readonly roles = new Map<string, Role>();
  readonly invitations = new Map<string, Invitation>();
  readonly keys = new Map<string, { readonly scopes: readonly string[]; isRevoked: boolean }>();
  readonly locked = new Set<string>();
  /** Users whose sessions of before have ended. */
  readonly ended = new Set<string>();
  isSuspended = false;
  /** Open invitations whose senders can no longer send them, with the request that saw to that, which must withdraw them. */
  readonly orphaned = new Map<string, string>();
  /** By ID. */
  readonly #emails: ReadonlyMap<string, string>;

  constructor(emails: ReadonlyMap<string, string>) {
    this.#emails = emails;
  }

  /** What a session of a user may do if it starts now; null if it is refused. */
  scopesOfUser(userId: string): readonly string[] | null {
    if (this.locked.has(userId)) return null;
    const role = this.roles.get(userId);
    return [...PERSONAL_SCOPES, ...(role === undefined ? [] : ROLE_SCOPES[role])];
  }

  /** What a key may do; null if it is refused. */
  scopesOfKey(id: string): readonly string[] | null {
    const key = this.keys.get(id);
    return key === undefined || key.isRevoked ? null : key.scopes;
  }

  /** Makes a change. Throws if its actor might not make it, or if it does not follow from what is known. */
  apply(change: AuditedChange): void {
    const problem = this.#problemOf(change);
    if (problem !== null) throw new Error(`${problem}: ${JSON.stringify(change)} after ${this.describe()}`);
    this.#make(change);
    this.#noteOrphaned(change);
    if (![...this.roles.values()].includes('owner'))
      throw new Error(`no owner is left after ${JSON.stringify(change)}`);
  }

  describe(): string {
    const { roles, invitations, keys, locked, ended } = this;
    return JSON.stringify({
      roles: [...roles],
      invitations: [...invitations],
      keys: [...keys].map(([id, { isRevoked, scopes }]) => [id, isRevoked, scopes.length]),
      locked: [...locked],
      ended: [...ended],
    });
  }

  #problemOf({ action, targetId, actor, before, after }: AuditedChange): string | null {
    if (actor.kind === 'operator') return null;
    const held = this.#scopesOf(actor) ?? [];
    const needs = (scope: string) => (held.includes(scope) ? null : `the actor has no ${scope}`);
    const covers = (...roles: (Role | undefined)[]) =>
      roles.every((role) => ROLE_SCOPES[role!].every((scope) => held.includes(scope)))
        ? null
        : 'the actor may do less than the role';
    const isKnown = (role: Role | undefined) =>
      this.roles.get(targetId) === role ? null : 'the role before is another one';
    const invitation = this.invitations.get(targetId);
    switch (action) {
      case 'membership.changed':
        return needs('members:write') ?? covers(before!.role, after!.role) ?? isKnown(before!.role);
      case 'membership.removed':
        if (actor.userId === targetId) return needs('me:write') ?? isKnown(before!.role);
        return needs('members:write') ?? covers(before!.role) ?? isKnown(before!.role);
      case 'membership.created':
        if (actor.userId !== targetId) return 'somebody accepts for another';
        return this.#invitationFor(targetId)?.role === after!.role
          ? needs('me:write')
          : 'nobody invited them';
      case 'invitation.created':
        return needs('members:write') ?? covers(after!.role);
      case 'invitation.accepted':
        return invitation?.email === this.#emails.get(actor.userId!) ? needs('me:write') : 'it is of another';
      case 'invitation.withdrawn':
        if (invitation === undefined) return 'it is not open';
        if (this.orphaned.get(targetId) === actor.requestId) return null;
        return needs('members:write') ?? covers(invitation.role);
      case 'api_key.created':
        return (
          needs('keys:write') ?? needs(after!.scopes!.find((scope) => !held.includes(scope)) ?? 'keys:write')
        );
      case 'api_key.revoked':
        // Nobody gains by it, so what the pipeline knew within the last 5 s is enough.
        return this.keys.has(targetId) ? null : 'there is no such key';
      default:
        return 'the model does not know the action';
    }
  }

  #make({ action, targetId, actor, after }: AuditedChange): void {
    const { roles, invitations, keys, locked, ended } = this;
    const changes: Record<string, () => unknown> = {
      'membership.changed': () => roles.set(targetId, after!.role!),
      'membership.created': () => roles.set(targetId, after!.role!),
      'membership.removed': () => roles.delete(targetId),
      'invitation.created': () =>
        invitations.set(targetId, {
          email: after!.email!,
          role: after!.role!,
          invitedBy: actor.userId ?? actor.id,
        }),
      'invitation.accepted': () => invitations.delete(targetId),
      'invitation.withdrawn': () => invitations.delete(targetId),
      'api_key.created': () => keys.set(targetId, { scopes: after!.scopes!, isRevoked: false }),
      'api_key.revoked': () => {
        keys.get(targetId)!.isRevoked = true;
      },
      'organization.suspended': () => {
        this.isSuspended = true;
      },
      'organization.reinstated': () => {
        this.isSuspended = false;
      },
      'user.locked': () => locked.add(targetId) && ended.add(targetId),
      'user.unlocked': () => locked.delete(targetId),
    };
    changes[action]!();
  }

  #noteOrphaned({ action, targetId, actor }: AuditedChange): void {
    if (!this.invitations.has(targetId)) this.orphaned.delete(targetId);
    if (!['membership.changed', 'membership.removed', 'api_key.revoked'].includes(action)) return;
    for (const [id, { invitedBy, role }] of this.invitations)
      if (invitedBy === targetId && !this.#covers(invitedBy, role)) this.orphaned.set(id, actor.requestId);
  }

  #scopesOf({ kind, id, userId }: AuditedChange['actor']): readonly string[] | null {
    if (kind === 'key') return this.scopesOfKey(id);
    return this.ended.has(userId!) ? null : this.scopesOfUser(userId!);
  }

  #invitationFor(userId: string): Invitation | undefined {
    return [...this.invitations.values()].find(({ email }) => email === this.#emails.get(userId));
  }

  #covers(inviter: string, role: Role): boolean {
    const held = this.keys.has(inviter) ? (this.scopesOfKey(inviter) ?? []) : this.#roleScopes(inviter);
    return ROLE_SCOPES[role].every((scope) => held.includes(scope));
  }

  #roleScopes(userId: string): readonly string[] {
    const role = this.roles.get(userId);
    return role === undefined ? [] : ROLE_SCOPES[role];
  }
}
