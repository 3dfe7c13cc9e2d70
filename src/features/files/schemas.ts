import { z } from '@hono/zod-openapi';
import { cursorSchema } from '../../http/cursor.ts';
import { OptionalIdempotencyHeadersSchema } from '../../http/idempotency.ts';
import {
  NextCursorSchema,
  pageQuerySchema,
  TimestampSchema,
  textSchema,
  UuidSchema,
} from '../../http/schemas.ts';
import { DEMO } from '../../utils/demo-data.ts';
import { DIGEST_FIELD } from './content-digest.ts';
import { LINK_BYTES_MAX, type StoredFile } from './domain.ts';
import { FILE_TYPES } from './file-type.ts';

const NAME_LENGTH_MAX = 1000;
const SHA256 = /^[0-9a-f]{64}$/;

const Sha256Schema = z
  .string()
  .regex(SHA256, 'must be a SHA-256 digest of 64 lowercase hexadecimal digits')
  .openapi({ example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' });

export const FileSchema = z
  .strictObject({
    id: UuidSchema,
    state: z.enum(['uploading', 'stored']).openapi({
      description: '`uploading` until the upload is completed.',
    }),
    name: z.string().openapi({
      description: 'The name the file was uploaded with, stripped of folders and deceptive characters.',
      example: 'statement.pdf',
    }),
    mediaType: z.string().openapi({
      description: 'Detected from the bytes once the file is stored, not taken from the request.',
      example: 'application/pdf',
    }),
    sizeBytes: z.int().min(0).nullable(),
    sha256: Sha256Schema.nullable(),
    createdAt: TimestampSchema,
  })
  // Not `File`: generated clients have a class of that name for bytes.
  .openapi('FileRecord');

const StoredFileSchema = FileSchema.extend({
  owner: z.string(),
  state: z.literal('stored'),
  mediaType: z.enum(FILE_TYPES),
  sizeBytes: z.int().min(1),
  sha256: Sha256Schema,
});

/** Whether a value from outside the database is the stored file with this id. */
export function isStoredFile(value: unknown, id: string): value is StoredFile {
  const read = StoredFileSchema.safeParse(value);
  return read.success && read.data.id === id;
}

export const FilePageSchema = z
  .strictObject({ files: z.array(FileSchema), nextCursor: NextCursorSchema })
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
        description: 'An absolute URL of the object store, or a path on this server. It needs no API key.',
      }),
      headers: z
        .record(z.string(), z.string())
        .openapi({ description: 'Headers to send unchanged with the PUT.' }),
      expiresAt: TimestampSchema,
    }),
  })
  // Not `Upload`: the class of a generated client would have the name of its member.
  .openapi('InitiatedUpload');

export const LinkSchema = z
  .strictObject({
    url: z.string().openapi({
      format: 'uri-reference',
      description: 'An absolute URL of the object store, or a path on this server. It needs no API key.',
    }),
    expiresAt: TimestampSchema,
    sizeBytes: z.int().min(1),
    sha256: Sha256Schema.openapi({
      description: 'SHA-256 of the file. Verify the downloaded bytes against it.',
    }),
  })
  .openapi('FileLink');

export const IdSchema = z.object({ id: UuidSchema.openapi({ example: DEMO.file }) });

// The prefix distinguishes the cursors of this list from those of others.
export const FileQuerySchema = pageQuerySchema(
  cursorSchema(/^f[0-9a-f]{32}$/, (text) =>
    text.slice(1).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
  ),
);

export const UploadQuerySchema = z.strictObject({
  name: textSchema(NAME_LENGTH_MAX).optional().openapi({
    description: 'The name of the file. Takes precedence over Content-Disposition.',
    example: 'statement.csv',
  }),
});

// The server limits the length of headers.
const header = (description: string) => z.string().optional().openapi({ description });
const digestHeader = (what: string) =>
  z
    .string()
    .regex(DIGEST_FIELD, 'must look like sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=: (RFC 9530)')
    .optional()
    .openapi({
      // The recommended form. Digests of other algorithms may be sent with it, and are ignored.
      pattern: '^(?:sha-256=:[A-Za-z0-9+/]{43}=:)?$',
      // No example: forms would send it with other bytes.
      description: `SHA-256 of ${what} (RFC 9530), as in \`sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:\`. Bytes that do not match are not stored.`,
    });

export const UploadHeadersSchema = OptionalIdempotencyHeadersSchema.extend({
  'Content-Disposition': header(
    'Sets the name of the file: `attachment; filename="…"` or `filename*=UTF-8\'\'…`.',
  ),
  'Repr-Digest': digestHeader('the file'),
  'Content-Digest': digestHeader('the body'),
});

export const ContentHeadersSchema = z.object({
  Range: header(
    'A single range, such as `bytes=0-1023`. A request for several ranges returns the whole file.',
  ),
  'If-Range': header('Returns the range only if the file still has this ETag, otherwise the whole file.'),
  'If-None-Match': header('Returns 304 if the file still has this ETag.'),
});

export const ConditionalHeadersSchema = z.object({
  'If-None-Match': header('Returns 304 if the file still has this ETag.'),
});

/** The parts of an object key in a link that points to Atlas. */
export const ObjectParamsSchema = z.object({ realm: UuidSchema, id: UuidSchema });
