import { z } from 'zod';
import { type EventKind, eventId } from '../event-kind.ts';

/** Events of documents. They never have the content, which may be about people. */
export const documentEventTypes = {
  'document.changed.v1': {
    summary: 'A document of an account was stored, changed, or deleted.',
    keyedBy: 'the document',
    data: z.strictObject({
      accountId: eventId('The account.'),
      kind: z.string(),
      version: z.int().min(1).meta({ description: 'The new version of the document.' }),
      deleted: z.boolean().meta({ description: 'Whether the document was deleted.' }),
    }),
  },
} as const satisfies Record<string, EventKind>;
