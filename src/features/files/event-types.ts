import { z } from 'zod';
import { type EventKind, eventId } from '../event-kind.ts';

/** Events of files. */
export const fileEventTypes = {
  'file.stored.v1': {
    summary: 'A file was stored and its checksum verified.',
    keyedBy: 'the file',
    data: z.strictObject({
      fileId: eventId('The file.'),
      name: z.string(),
      mediaType: z.string(),
      sizeBytes: z.int().min(0),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .meta({ description: 'SHA-256 of the bytes, in hex.' }),
    }),
  },
  'file.deleted.v1': {
    summary: 'A file was deleted.',
    keyedBy: 'the file',
    data: z.strictObject({ fileId: eventId('The file.') }),
  },
} as const satisfies Record<string, EventKind>;
