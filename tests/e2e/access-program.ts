import fc from 'fast-check';
import type { Sql } from '../../src/adapters/postgres/postgres.ts';
import { makeOneTimeToken } from '../../src/features/identity/one-time-token.ts';
import { ROLES, type Role, scopesOfRoles } from '../../src/features/identity/roles.ts';
import { makeToken } from '../../src/features/identity/token.ts';
import { ALL_SCOPES } from '../../src/features.ts';
import { bearer, createUser, type TestUser } from '../support/user-steps.ts';
import { AccessModel, type AuditedChange } from './access-model.ts';

const ROLE_SCOPES = scopesOfRoles(ALL_SCOPES);
const FIRST_ROLES: readonly (Role | undefined)[] = [
  'owner',
  'owner',
  'admin',
  'member',
  undefined,
  undefined,
];
const CURRENT = '/v1/organizations/current';

const user = fc.nat({ max: FIRST_ROLES.length - 1 });
const outsider = fc.constantFrom(4, 5);
// Members are invited less often, because that is refused.
const invited = fc.oneof({ weight: 3, arbitrary: outsider }, { weight: 1, arbitrary: user });
// The last numbers are keys.
const caller = fc.nat({ max: FIRST_ROLES.length + 2 });
const role = fc.constantFrom(...ROLES);
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('setRole' as const), by: caller, to: user, role }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('remove' as const), by: caller, to: user }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('leave' as const), by: user }) },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constant('invite' as const), by: caller, to: invited, role }),
  },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('accept' as const), by: invited }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('createKey' as const), by: caller, role }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('revokeKey' as const), by: caller, key: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('suspend', 'reinstate') }) },
  // Two users, so that many who are let in again were locked out before.
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('lock', 'unlock'), to: fc.constantFrom(1, 3) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer O> ? O : never;

/** Steps of operations, those of a step at once. */
export const program = fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), {
  minLength: 4,
  maxLength: 12,
});
export type Program = typeof program extends fc.Arbitrary<infer P> ? P : never;

/** Where programs run. */
export interface Place {
  readonly url: string;
  readonly sql: Sql;
  /** The key of an operator. */
  readonly operator: string;
}

interface Key {
  readonly id: string;
  readonly token: string;
}

/** One organization while a program runs, and what became of its people. */
export class Company {
  readonly id: string;
  readonly users: readonly TestUser[];
  readonly keys: Key[];
  readonly #place: Place;
  /** The IDs of the requests that were not refused, and of those that were. */
  readonly done = new Set<string>();
  readonly refused = new Set<string>();

  private constructor(place: Place, id: string, users: readonly TestUser[], key: Key) {
    this.#place = place;
    this.id = id;
    this.users = users;
    this.keys = [key];
  }

  static async create(place: Place, id: string): Promise<Company> {
    const users: TestUser[] = [];
    for (const [i, role] of FIRST_ROLES.entries()) {
      const email = `${id}-${i}@example.com`;
      const created = await createUser(place, {
        email,
        ...(role !== undefined && { organization: id, role }),
      });
      // The outsider's session, too, acts for it: it may do nothing in it until they are a member.
      await place.sql`UPDATE sessions SET organization = ${id} WHERE id = ${created.sessionId}`;
      users.push(created);
    }
    const { token, id: keyId, secretHash } = makeToken('live');
    await place.sql`INSERT INTO api_keys (id, owner, kind, name, scopes, secret_hash)
      VALUES (${keyId}, ${id}, 'live', 'first', ${[...ALL_SCOPES]}, ${secretHash})`;
    return new Company(place, id, users, { id: keyId, token });
  }

  async run(steps: Program): Promise<void> {
    for (const step of steps) await Promise.all(step.map((operation) => this.#run(operation)));
  }

  /** Returns the model after everything that the audit log has. Throws if any of it was not allowed. */
  async replay(): Promise<AccessModel> {
    const model = new AccessModel(new Map(this.users.map(({ id, email }) => [id, email])));
    for (const [i, role] of FIRST_ROLES.entries())
      if (role !== undefined) model.roles.set(this.users[i]!.id, role);
    model.keys.set(this.keys[0]!.id, { scopes: ALL_SCOPES, isRevoked: false });
    const changes = await this.#place.sql<AuditedChange[]>`
      SELECT action, target_id, actor, before, after FROM audit_entries
      WHERE (organization = ${this.id} AND action <> 'session.ended') OR (target_type = 'user' AND target_id = ANY (${this.users.map(({ id }) => id)}))
      ORDER BY id`;
    for (const change of changes) {
      if (!this.done.has(change.actor.requestId))
        throw new Error(`a refused request changed something: ${JSON.stringify(change)}`);
      model.apply(change);
    }
    return model;
  }

  async #run(operation: Operation): Promise<void> {
    const { does } = operation;
    const { operator } = this.#place;
    const pathOfOrganization = `/v1/operator/organizations/${this.id}/suspension`;
    if (does === 'suspend') return this.#send(operator, 'PUT', pathOfOrganization);
    if (does === 'reinstate') return this.#send(operator, 'DELETE', pathOfOrganization);
    if (does === 'lock' || does === 'unlock') {
      const { to } = operation as { to: number };
      return this.#send(
        operator,
        does === 'lock' ? 'PUT' : 'DELETE',
        `/v1/operator/users/${this.users[to]!.id}/lock`,
      );
    }
    return this.#change(operation as Exclude<Operation, { does: string & {} }>);
  }

  async #change(operation: {
    does: string;
    by: number;
    to?: number;
    role?: Role;
    key?: number;
  }): Promise<void> {
    const { does, by, role } = operation;
    const token = this.#tokenOf(by);
    const target = operation.to === undefined ? null : this.users[operation.to]!;
    if (does === 'setRole') return this.#send(token, 'PATCH', `${CURRENT}/members/${target!.id}`, { role });
    if (does === 'remove') return this.#send(token, 'DELETE', `${CURRENT}/members/${target!.id}`);
    if (does === 'leave') return this.#send(token, 'DELETE', `/v1/users/me/organizations/${this.id}`);
    if (does === 'invite')
      return this.#send(token, 'POST', `${CURRENT}/invitations`, { email: target!.email, role });
    if (does === 'accept') {
      const json = { token: await this.#tokenFor(this.users[by]!.email) };
      return this.#send(token, 'POST', '/v1/invitations/acceptances', json);
    }
    if (does === 'createKey') {
      const json = { name: 'made', scopes: ROLE_SCOPES[role!] };
      const created = await this.#send<Key>(token, 'POST', '/v1/api-keys', json);
      if (created !== undefined) this.keys.push(created);
      return;
    }
    const { id } = this.keys[operation.key! % this.keys.length]!;
    await this.#send(token, 'POST', `/v1/api-keys/${id}/revoke`);
  }

  #tokenOf(caller: number): string {
    const owner = this.users[caller];
    return owner?.token ?? this.keys[caller % this.keys.length]!.token;
  }

  /** Sends a request, and returns its body unless it was refused. */
  async #send<T>(token: string, method: string, path: string, json?: object): Promise<T | undefined> {
    const response = await fetch(`${this.#place.url}${path}`, {
      method,
      headers: { ...bearer(token), ...(json && { 'Content-Type': 'application/json' }) },
      ...(json && { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    if (response.status >= 500 && response.status !== 503)
      throw new Error(`${method} ${path} returned ${response.status}: ${text}`);
    (response.ok ? this.done : this.refused).add(response.headers.get('x-request-id')!);
    return response.ok && text !== '' ? (JSON.parse(text) as T) : undefined;
  }

  /** Returns a token for the open invitation of an address, in place of that in the mail, which has been sent. */
  async #tokenFor(email: string): Promise<string> {
    const { token, hash } = makeOneTimeToken();
    await this.#place.sql`
      UPDATE invitations SET secret_hash = ${hash} WHERE organization = ${this.id} AND email = ${email}`;
    return token;
  }
}
