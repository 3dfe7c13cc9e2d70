import { AtlasError } from '../errors.ts';

/** The error of a reader that would miss events if it continued where it wants to. */
export function eventsExpired({ occurredAt }: { readonly occurredAt: Date }): AtlasError {
  return new AtlasError(
    'events_expired',
    `Events after this point have expired, the last of them of ${occurredAt.toISOString()}.`,
  );
}
