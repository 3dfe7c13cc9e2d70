import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../../http/cursor.ts';
import { NextCursorSchema, pageQuerySchema, TimestampSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { ID_MODES, IMPORT_FAILURES, IMPORT_FORMATS, IMPORT_STATES } from '../import.ts';

const CountSchema = z.int().min(0);
const MEMBER_LENGTH_MAX = 1000;

const IdsSchema = z.enum(ID_MODES).openapi({
  description:
    'What the IDs in the file mean. `keep`: IDs here. `derive`: IDs of another database or organization, such as those of an export; each becomes another ID here, always the same.',
});

export const NewImportSchema = z
  .strictObject({
    fileId: UuidSchema.openapi({ description: 'A stored file.', example: DEMO.file }),
    format: z.enum(IMPORT_FORMATS),
    ids: IdsSchema.nullish(),
    dryRun: z
      .boolean()
      .nullish()
      .openapi({ description: 'Whether to validate the file only; false by default.' }),
  })
  .openapi('NewImport');

export const ImportSchema = z
  .strictObject({
    id: UuidSchema,
    fileId: UuidSchema.nullable().openapi({ description: 'Null if a command imports a file of its host.' }),
    fileName: z.string(),
    format: z.enum(IMPORT_FORMATS),
    ids: IdsSchema,
    dryRun: z.boolean(),
    state: z.enum(IMPORT_STATES).openapi({
      description: '`validating`, then `posting`. The others are final.',
    }),
    failure: z.enum(IMPORT_FAILURES).nullable().openapi({ description: 'Why it failed.' }),
    progress: z
      .number()
      .min(0)
      .max(1)
      .openapi({ description: 'The share of the file that its state has read.' }),
    lines: CountSchema.openapi({ description: 'Lines with content that were validated.' }),
    posted: CountSchema.openapi({ description: 'Lines that had an effect.' }),
    existed: CountSchema.openapi({ description: 'Lines whose effect was there before.' }),
    skipped: CountSchema.openapi({
      description: 'Lines that have no effect, such as holds that are settled.',
    }),
    refused: CountSchema.openapi({ description: 'Lines that are invalid, or were refused.' }),
    createdAt: TimestampSchema,
    finishedAt: TimestampSchema.nullable(),
  })
  .openapi('Import');

export const ImportPageSchema = z
  .strictObject({ imports: z.array(ImportSchema), nextCursor: NextCursorSchema })
  .openapi('ImportPage');

export const ImportParamsSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.import }) });

// The prefix distinguishes the cursors of this list from those of others.
const CursorSchema = cursorSchema(/^i[0-9a-f]{32}$/, (text) =>
  text.slice(1).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
);

export const ImportQuerySchema = pageQuerySchema(CursorSchema);

export const toImportCursor = (id: string) => `i${id.replaceAll('-', '')}`;

export const ReportQuerySchema = z.strictObject({
  format: z.enum(IMPORT_FORMATS).default('ndjson').openapi({ description: '`ndjson` by default.' }),
});

export const RefusedLineSchema = z
  .strictObject({
    line: z.int().min(1).openapi({ description: 'The number of the line in the file.', example: 17 }),
    member: z.string().max(MEMBER_LENGTH_MAX).nullable().openapi({
      description: 'The column or member at fault; null if it is the line.',
      example: 'amount',
    }),
    code: z.string().openapi({
      description: '`line_invalid`, or the code of a refusal.',
      example: 'line_invalid',
    }),
    detail: z.string().openapi({ example: 'must be a whole number of minor units' }),
  })
  .openapi('RefusedLine');
