import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../http/cursor.ts';
import { pageQuerySchema, TimestampSchema, textSchema, UuidSchema } from '../../http/schemas.ts';

import { DIGEST_FIELD } from './content-digest.ts';
import { LINK_BYTES_MAX, type StoredFile } from './domain.ts';
import { FILE_TYPES } from './file-type.ts';

const NAME_LENGTH_MAX = 1000;
const SHA256 = /^[0-9a-f]{64}$/;

const Sha256Schema = z
  .string()
  .regex(SHA256, 'must be a SHA-256 of 64 hexadecimal digits in lower case')
  .openapi({ example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' });

export const FileSchema = z
  .strictObject({
    id: UuidSchema,
    state: z.enum(['uploading', 'stored']).openapi({
      description: '`uploading` until the bytes that were announced have been confirmed.',
    }),
    name: z.string().openapi({
      description: 'What it was called, without folders and without characters that deceive.',
      example: 'statement.pdf',
    }),
    mediaType: z.string().openapi({
      description: 'Told by the bytes of a stored file, not by whoever sent them.',
      example: 'application/pdf',
    }),
    sizeBytes: z.int().min(0).nullable(),
    sha256: Sha256Schema.nullable(),
    createdAt: TimestampSchema,
  })
  .openapi('File');

/** Whether a value that was kept outside of the database is a stored file, and the one of the id. */
export function isStoredFile(value: unknown, id: string): value is StoredFile {
  const read = FileSchema.extend({ owner: z.string() }).safeParse(value);
  return read.success && read.data.id === id && read.data.state === 'stored';
}

export const FilePageSchema = z
  .strictObject({ files: z.array(FileSchema), nextCursor: z.string().nullable() })
  .openapi('FilePage');

export const NewUploadSchema = z
  .strictObject({
    name: textSchema(NAME_LENGTH_MAX).openapi({ example: 'statement.pdf' }),
    mediaType: z.enum(FILE_TYPES).openapi({ example: 'application/pdf' }),
    sizeBytes: z.int().min(1).max(LINK_BYTES_MAX).openapi({ example: 120_345 }),
    sha256: Sha256Schema,
  })
  .openapi('NewUpload');

export const UploadSchema = z
  .strictObject({
    file: FileSchema,
    upload: z.strictObject({
      method: z.literal('PUT'),
      url: z.string().openapi({
        format: 'uri-reference',
        description: 'Of the object store, or a path of Atlas. It needs no key.',
      }),
      headers: z.record(z.string(), z.string()).openapi({ description: 'To be sent as they are.' }),
      expiresAt: TimestampSchema,
    }),
  })
  .openapi('Upload');

export const LinkSchema = z
  .strictObject({
    url: z.string().openapi({
      format: 'uri-reference',
      description: 'Of the object store, or a path of Atlas. It needs no key.',
    }),
    expiresAt: TimestampSchema,
    sizeBytes: z.int().min(1),
    sha256: Sha256Schema.openapi({ description: 'Compare what you got with it.' }),
  })
  .openapi('FileLink');

export const IdSchema = z.object({ id: UuidSchema });

// The letter tells the cursors of one list from those of another.
export const FileQuerySchema = pageQuerySchema(
  cursorSchema(/^f[0-9a-f]{32}$/, (text) =>
    text.slice(1).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  ),
);

export const UploadQuerySchema = z.strictObject({
  name: textSchema(NAME_LENGTH_MAX)
    .optional()
    .openapi({ description: 'What the file is called; before the name in Content-Disposition.' }),
});

// The server bounds how long headers are.
const header = (description: string) => z.string().optional().openapi({ description });
const digestHeader = (what: string) =>
  z
    .string()
    .regex(DIGEST_FIELD, 'must be like sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=: (RFC 9530)')
    .optional()
    .openapi({
      // What one should send. Other algorithms may stand beside it, and are not looked at.
      pattern: '^sha-256=:[A-Za-z0-9+/]{43}=:$',
      example: 'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
      description: `SHA-256 of ${what} (RFC 9530). Bytes that do not match it are not stored.`,
    });

export const UploadHeadersSchema = z.object({
  'Content-Disposition': header('`attachment; filename="…"` or `filename*=UTF-8\'\'…` names the file.'),
  'Repr-Digest': digestHeader('the file'),
  'Content-Digest': digestHeader('the body'),
});

export const ContentHeadersSchema = z.object({
  Range: header('`bytes=0-1023` asks for one part. Several parts are answered with the whole file.'),
  'If-Range': header('The part only if the file is the one of this ETag, else the whole file.'),
  'If-None-Match': header('304 if the file is the one of this ETag.'),
});

export const ConditionalHeadersSchema = z.object({
  'If-None-Match': header('304 if nothing has changed since this ETag.'),
});

/** The parts of the key of an object, as a link to Atlas names it. */
export const ObjectParamsSchema = z.object({ realm: UuidSchema, id: UuidSchema });
