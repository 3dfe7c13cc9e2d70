import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../../http/cursor.ts';
import { NextCursorSchema, nameSchema, pageQuerySchema, TimestampSchema } from '../../../http/schemas.ts';
import { KindSchema, VersionSchema } from '../schemas.ts';

const TITLE_LENGTH_MAX = 200;

const members = {
  kind: KindSchema,
  version: VersionSchema,
  title: z.string().nullable(),
  createdAt: TimestampSchema.openapi({ description: 'When this version was registered.' }),
};

export const KindVersionSchema = z.strictObject(members).openapi('DocumentKindVersion');

const AnySchema = z.record(z.string(), z.unknown());

export const DocumentKindSchema = z
  .strictObject({
    ...members,
    schema: AnySchema.openapi({ description: 'The JSON Schema, as it was sent.' }),
  })
  .openapi('DocumentKind');

export const NewKindSchema = z
  .strictObject({
    title: nameSchema(TITLE_LENGTH_MAX).nullish(),
    schema: AnySchema.openapi({
      description:
        'A JSON Schema (2020-12) for the content, of at most 64 KiB. References stay within it, and patterns are matched in linear time.',
      example: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
    }),
  })
  .openapi('NewDocumentKind');

export const KindPageSchema = z
  .strictObject({ kinds: z.array(KindVersionSchema), nextCursor: NextCursorSchema })
  .openapi('DocumentKindPage');

export const KindVersionPageSchema = z
  .strictObject({ versions: z.array(KindVersionSchema), nextCursor: NextCursorSchema })
  .openapi('DocumentKindVersionPage');

// The letters keep the cursors of different lists apart.
export const KindQuerySchema = pageQuerySchema(
  cursorSchema(/^k[a-z][a-z0-9-]{0,62}$/, (text) => text.slice(1)),
);
export const KindVersionQuerySchema = pageQuerySchema(
  cursorSchema(/^v[1-9]\d{0,3}$/, (text) => Number(text.slice(1))),
);
