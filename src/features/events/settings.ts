import { integer, meta } from '../../utils/setting-types.ts';

/** How long events are stored. */
export const eventSettings = {
  EVENTS_RETENTION_DAYS: integer(1, 36_500)
    .default(90)
    .meta(
      meta(
        'Events',
        'Days that events are stored. Events that a consumer of Atlas has not read stay longer.',
      ),
    ),
};
