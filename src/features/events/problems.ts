import type { ProblemKinds } from '../../http/problem-kind.ts';

/** Problems of event lists and streams. */
export const eventProblems = {
  event_not_found: {
    status: 404,
    title: 'Event not found',
    cause: 'You have no event with this ID or position, or it has expired.',
    remedy: 'Start from an event listed by GET /v1/events, or without a cursor.',
  },
  events_expired: {
    status: 410,
    title: 'Events expired',
    cause:
      'You have not read some events after this cursor, ID, position, or time, and they were deleted after EVENTS_RETENTION_DAYS.',
    remedy:
      'Read the current state of your accounts, files, and webhooks, then start again without a cursor: that returns every event that is still stored.',
  },
  too_many_streams: {
    status: 429,
    title: 'Too many event streams',
    cause: 'You have, or this worker has, reached the limit of open streams.',
    remedy:
      'Close streams you do not need, or poll GET /v1/events. Retry after the number of seconds in Retry-After.',
  },
} as const satisfies ProblemKinds;

declare module '../../errors.ts' {
  interface ErrorCodes extends Record<keyof typeof eventProblems, true> {}
}
