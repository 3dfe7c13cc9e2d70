import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../../http/cursor.ts';
import { NextCursorSchema, pageQuerySchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { KindSchema, VersionSchema } from '../schemas.ts';

const ContentSchema = z.record(z.string(), z.unknown());

const versionMembers = {
  version: VersionSchema,
  kindVersion: VersionSchema.nullable().openapi({
    description: 'The version of the kind it was validated with; null if the document was deleted.',
  }),
  sha256: z
    .string()
    .nullable()
    .openapi({ description: 'SHA-256 of the content as canonical JSON (RFC 8785), in hex.' }),
  sizeBytes: z.int().min(0).nullable().openapi({ description: 'Size of the content as compact JSON.' }),
  createdAt: TimestampSchema.openapi({ description: 'When this version was stored.' }),
};
const members = { accountId: UuidSchema, kind: KindSchema, ...versionMembers };

export const DocumentSchema = z
  .strictObject({
    ...members,
    content: ContentSchema.nullable().openapi({
      description: 'Its members are in no particular order. Null in a version that deleted the document.',
    }),
  })
  .openapi('Document');

export const DocumentListSchema = z
  .strictObject({
    documents: z.array(z.strictObject(members).openapi('DocumentSummary')),
    nextCursor: NextCursorSchema,
  })
  .openapi('DocumentList');

export const DocumentVersionPageSchema = z
  .strictObject({
    versions: z.array(z.strictObject(versionMembers).openapi('DocumentVersion')),
    nextCursor: NextCursorSchema,
  })
  .openapi('DocumentVersionPage');

export const DocumentPageSchema = z
  .strictObject({ documents: z.array(DocumentSchema), nextCursor: NextCursorSchema })
  .openapi('DocumentPage');

export const NewDocumentSchema = z
  .strictObject({
    content: ContentSchema.openapi({
      description:
        'An object that matches the newest schema of the kind, of at most 64 KiB as compact JSON, and with at most 1,000 values: members and items, at any depth.',
    }),
  })
  .openapi('NewDocument');

const CONTAINS_LENGTH_MAX = 4096;
// PostgreSQL compares each with every item of an array.
const CONTAINS_VALUES_MAX = 20;

export const SearchSchema = z
  .strictObject({
    kind: KindSchema,
    contains: ContentSchema.refine(
      (contains) => valuesIn(contains) > 0,
      'must have at least one value, such as a text',
    )
      .refine(
        (contains) => valuesIn(contains) <= CONTAINS_VALUES_MAX,
        `must have at most ${CONTAINS_VALUES_MAX} values`,
      )
      .refine(
        (contains) => JSON.stringify(contains).length <= CONTAINS_LENGTH_MAX,
        `must have at most ${CONTAINS_LENGTH_MAX} characters as compact JSON`,
      )
      .nullish()
      .openapi({
        description:
          'What the content must contain: each member with the same value, an object or array with at least these members or items. All documents of the kind by default.',
        example: { country: 'DE' },
      }),
  })
  .openapi('DocumentSearch');

/** Counts what an index can find. */
function valuesIn(part: unknown): number {
  if (typeof part !== 'object' || part === null) return 1;
  return Object.values(part).reduce((count: number, member) => count + valuesIn(member), 0);
}

// The letters keep the cursors of different lists apart.
export const VersionPageQuerySchema = pageQuerySchema(
  cursorSchema(/^d[1-9]\d{0,3}$/, (text) => Number(text.slice(1))),
);
export const SearchQuerySchema = pageQuerySchema(
  cursorSchema(/^s[0-9a-f]{32}$/, (text) =>
    text.slice(1).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  ),
);
