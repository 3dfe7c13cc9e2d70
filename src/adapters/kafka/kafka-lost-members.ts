import type { Kafka } from 'kafkajs';
import type { Dependency } from '../../resilience/dependency.ts';
import { orAbort } from '../../utils/or-abort.ts';
import { sleep } from '../../utils/sleep.ts';
import type { Incarnation } from '../postgres/incarnation.ts';
import { kafkaErrorType } from './kafka-errors.ts';
import { KafkaGroup, type Member } from './kafka-group.ts';

const CHECK_MS = 500;
const RETRY_MS = 2000;
const OWN_CHECK_MS = 100;
const OWN_CHECKS_MAX = 50;
const REMOVED_MAX = 256;
const PREFIX = 'atlas-';
const CLIENT_ID = new RegExp(`^${PREFIX}(.+)\\.\\d+$`);

/** Returns the client id of the nth membership of an incarnation. */
export function clientIdOf(incarnation: string, nth: number): string {
  return `${PREFIX}${incarnation}.${nth}`;
}

/** Returns the incarnation in the client id of a member, or null if it has another name. */
function incarnationOf({ clientId }: Member): string | null {
  return CLIENT_ID.exec(clientId)?.[1] ?? null;
}

export interface LostMembersOptions {
  readonly client: Kafka;
  /** The client id of the membership that this belongs to. */
  readonly clientId: string;
  readonly incarnation: Pick<Incarnation, 'deadAmong'>;
  readonly dependency: Dependency;
  readonly onTrouble: (error: unknown, text: string) => void;
}

/**
 * Removes lost members from a consumer group, those of dead processes and of ended memberships. Kafka itself waits for
 * the end of their session. Several processes may do this for the same group. A member that was wrongly believed dead
 * joins again, and what it does meanwhile does no harm: positions, and locks on the keys, are in PostgreSQL.
 */
export class LostMembers {
  readonly #groupId: string;
  readonly #options: LostMembersOptions;
  // A member that was removed and is back is alive. Its process may use another database.
  readonly #removed = new Set<string>();
  #group: KafkaGroup | null = null;

  constructor(groupId: string, options: LostMembersOptions) {
    this.#groupId = groupId;
    this.#options = options;
  }

  /**
   * Removes members whose process is known to have died, until the signal aborts. Never rejects: without it, recovery
   * only takes longer.
   */
  async removeUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#removeDead(signal);
        await sleep(CHECK_MS, signal);
      } catch (error) {
        this.#close();
        if (kafkaErrorType(error).endsWith('AUTHORIZATION_FAILED')) return this.#report(error);
        await sleep(RETRY_MS, signal);
      }
    }
  }

  /**
   * Removes what is left of this membership, because it has ended. A join in flight may still succeed, so this checks
   * again until `isOver`, for a few seconds at most. Never rejects.
   */
  async removeOwn(isOver: () => boolean): Promise<void> {
    try {
      for (let check = 1; check <= OWN_CHECKS_MAX; check++) {
        const mayJoin = !isOver();
        const own = (await this.#members()).filter(({ clientId }) => clientId === this.#options.clientId);
        if (own.length === 0 && !mayJoin) break;
        for (const member of own) await this.#remove(member);
        await Bun.sleep(OWN_CHECK_MS);
      }
    } catch {
      // Its session ends on its own.
    }
    this.#close();
  }

  async #removeDead(signal: AbortSignal): Promise<void> {
    const { clientId, incarnation } = this.#options;
    const members = await this.#members(signal);
    // This process joins first: a group that has lost its last member makes the next one wait for others
    // (`group.initial.rebalance.delay.ms`).
    if (!members.some((member) => member.clientId === clientId)) return;
    const others = members.flatMap((member) => {
      const id =
        member.clientId === clientId || this.#removed.has(member.clientId) ? null : incarnationOf(member);
      return id === null ? [] : [{ member, id }];
    });
    if (others.length === 0) return;
    const dead = new Set(await incarnation.deadAmong(others.map(({ id }) => id)));
    for (const { member, id } of others) {
      if (!dead.has(id)) continue;
      await this.#remove(member, signal);
      this.#removed.add(member.clientId);
      if (this.#removed.size > REMOVED_MAX) this.#removed.delete(this.#removed.values().next().value!);
    }
  }

  #members(signal?: AbortSignal): Promise<readonly Member[]> {
    return this.#call('members', (group) => group.members(), signal);
  }

  #remove({ memberId }: Member, signal?: AbortSignal): Promise<void> {
    return this.#call('remove', (group) => group.remove(memberId), signal);
  }

  #call<T>(operation: string, work: (group: KafkaGroup) => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#group ??= new KafkaGroup(this.#options.client, this.#groupId);
    const group = this.#group;
    return this.#options.dependency.call(operation, (within) => orAbort(work(group), within), { signal });
  }

  /** Not awaited: closing waits for responses that may never come. */
  #close(): void {
    void this.#group?.close();
    this.#group = null;
  }

  #report(error: unknown): void {
    const text = `dead members of the group ${this.#groupId} cannot be removed; after a crash, consumers pause for longer`;
    this.#options.onTrouble(error, text);
  }
}
