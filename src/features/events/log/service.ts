import { AtlasError } from '../../../errors.ts';
import { eventsExpired } from '../../events-expired.ts';
import { parseEventId, type SentEvent } from './domain.ts';
import type { EventFilter, EventRepository, EventSlice } from './repository.ts';
import type { EventStreams, Reader } from './streams.ts';

/** A page of events, oldest first. */
export interface EventPage {
  readonly events: readonly SentEvent[];
  /** The position to resume after. Always present, since newer events may follow. */
  readonly resume: number;
  /** Whether there are more events now. */
  readonly hasMore: boolean;
}

/** Where a stream starts: after a position, with the oldest event, or with the next new one. */
export type StreamStart = number | 'beginning' | 'now';

/** Operations on events. All are scoped to one owner, and throw `AtlasError`. */
export interface EventService {
  /** Lists events after the position, or from the oldest one for null. Throws `events_expired` if some were deleted. */
  list(
    owner: string,
    filter: EventFilter,
    after: number | null,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage>;
  find(owner: string, id: string, signal?: AbortSignal): Promise<SentEvent>;
  /** Streams the owner's events as server-sent events. Throws `too_many_streams` at the limit of open streams. */
  follow(reader: Reader, start: StreamStart, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

// A rare type is searched for in steps, so that no page scans more rows than this.
const SCAN_MAX = 5000;

export function createEventService(repository: EventRepository, streams: EventStreams): EventService {
  /** Lists by the index of the key, which requires `after` to be the position of one of its events; otherwise null. */
  async function listOfKey(
    owner: string,
    { key, type }: { key: string; type?: string | undefined },
    after: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage | null> {
    const sequence = after === 0 ? -1 : await repository.sequenceAt(owner, key, after, signal);
    if (sequence === null) return null;
    const page = toPage(await repository.listOfKey(owner, key, sequence, limit, signal), after);
    if (type === undefined) return page;
    return { ...page, events: page.events.filter((event) => event.type === type) };
  }

  async function search(
    owner: string,
    filter: EventFilter,
    after: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage> {
    const found = await repository.search(owner, filter, after, limit, SCAN_MAX, signal);
    const page = toPage(found, after);
    if (page.hasMore) return page;
    return { ...page, resume: found.scannedTo ?? after, hasMore: found.scanned === SCAN_MAX };
  }

  async function read(
    owner: string,
    { key, type }: EventFilter,
    after: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<EventPage> {
    if (key === undefined && type === undefined)
      return toPage(await repository.listAfter(owner, after, limit, signal), after);
    const page = key === undefined ? null : await listOfKey(owner, { key, type }, after, limit, signal);
    return page ?? search(owner, { key, type }, after, limit, signal);
  }

  return {
    async list(owner, filter, cursor, limit, signal) {
      const after = cursor ?? 0;
      const page = await read(owner, filter, after, limit, signal);
      // Read last: events that were deleted before the page was read are known by now.
      const expired = await repository.lastExpired(owner, signal);
      if (expired !== null && expired.position > after) {
        if (cursor !== null) throw eventsExpired(expired);
        return { ...page, resume: Math.max(page.resume, expired.position) };
      }
      // A position beyond the end is from another log, such as one before a restore. Waiting there would miss events.
      if (page.resume === after && after > 0 && after > (await repository.lastPosition(signal)))
        throw beyondEnd('The cursor');
      return page;
    },
    async find(owner, id, signal) {
      const { key, sequence } = parseEventId(id);
      const event = await repository.find(owner, key, sequence, signal);
      if (event === null) throw new AtlasError('event_not_found', `Event ${id} does not exist.`);
      return event;
    },
    async follow(reader, start, signal) {
      streams.requireSlot(reader.owner);
      const [last, expired] = await Promise.all([
        repository.lastPosition(signal),
        repository.lastExpired(reader.owner, signal),
      ]);
      // Otherwise the stream would never be read or canceled.
      if (signal.aborted) throw new AtlasError('request_aborted', 'The client disconnected.');
      if (start === 'now') return streams.open(reader, last, signal);
      if (start === 'beginning') return streams.open(reader, expired?.position ?? 0, signal);
      if (start > last) throw beyondEnd('The event to resume after');
      if (expired !== null && expired.position > start) throw eventsExpired(expired);
      return streams.open(reader, start, signal);
    },
  };
}

/** Another log, such as one before a backup was restored, has had such a position. */
function beyondEnd(what: string): AtlasError {
  const detail = `${what} is beyond the end of the log, so it is of another log. Start without it.`;
  return new AtlasError('event_not_found', detail);
}

function toPage({ events, hasMore }: EventSlice, after: number): EventPage {
  return { events, resume: events.at(-1)?.position ?? after, hasMore };
}
