import type { SentEvent } from '../../../../../src/features/events/log/domain.ts';
import type { EventRepository } from '../../../../../src/features/events/log/repository.ts';

/**
 * An in-memory event log, for tests without PostgreSQL. `isUnavailable` makes every read fail. While `held` is pending, a read
 * returns the log as it was before, once that resolves.
 */
export function eventsInMemory() {
  const log: SentEvent[] = [];
  const state = { isUnavailable: false, reads: 0, polls: 0, held: null as Promise<void> | null };
  const respond = <T>(read: () => T): Promise<T> =>
    state.isUnavailable ? Promise.reject(new Error('unavailable')) : Promise.resolve(read());
  const repository: EventRepository = {
    listAfter: (owner, position, limit) => {
      state.reads++;
      const found = log.filter((event) => event.owner === owner && event.position > position);
      const slice = { events: found.slice(0, limit), hasMore: found.length > limit };
      return state.held ? state.held.then(() => slice) : respond(() => slice);
    },
    search: () => Promise.reject(new Error('not supported')),
    sequenceAt: () => Promise.reject(new Error('not supported')),
    listOfKey: () => Promise.reject(new Error('not supported')),
    find: () => Promise.reject(new Error('not supported')),
    lastExpired: async () => null,
    lastPosition: () => respond(() => log.length),
    isKeyUsed: async (key) => log.some((event) => event.key === key),
    newsAfter: (position) => {
      state.polls++;
      return respond(() => {
        const owners = new Set(log.slice(position).map(({ owner }) => owner));
        return owners.size === 0 ? null : { owners: [...owners], lastPosition: log.length };
      });
    },
  };
  const append = (owner: string, count = 1) => {
    for (let i = 0; i < count; i++) {
      log.push({
        position: log.length + 1,
        owner,
        type: 'file.deleted.v1',
        key: `key-of-${owner}`,
        sequence: log.filter((event) => event.owner === owner).length,
        occurredAt: '2026-01-31T12:00:00.000Z',
        data: { fileId: '0198c0de-0000-7000-8000-000000000001' },
      });
    }
  };
  return { repository, append, state };
}
