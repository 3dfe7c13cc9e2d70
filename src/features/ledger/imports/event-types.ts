import { z } from 'zod';
import { type EventKind, eventId } from '../../event-kind.ts';
import { IMPORT_FAILURES } from '../import.ts';

const count = (description: string) => z.int().min(0).meta({ description });

/** Events of imports. */
export const importEventTypes = {
  'import.finished.v1': {
    summary: 'An import has finished.',
    keyedBy: 'the import',
    data: z.strictObject({
      importId: eventId('The import, which is the key of this event.'),
      state: z.enum(['done', 'failed', 'canceled']),
      failure: z.enum(IMPORT_FAILURES).nullable().meta({ description: 'Why it failed.' }),
      dryRun: z.boolean().meta({ description: 'Whether the file was only validated.' }),
      lines: count('Lines with content that were validated.'),
      posted: count('Lines that had an effect.'),
      existed: count('Lines whose effect was there before.'),
      skipped: count('Lines that have no effect, such as holds that are settled.'),
      refused: count('Lines that are invalid, or were refused.'),
    }),
  },
} as const satisfies Record<string, EventKind>;
