import { z } from '@hono/zod-openapi';
import { NextCursorSchema, nameSchema, TimestampSchema } from '../../../http/schemas.ts';
import { DEMO } from '../../../utils/demo-data.ts';
import { OVERLAP_SECONDS_MAX } from './domain.ts';

const NAME_LENGTH_MAX = 200;
const LIFETIME_SECONDS_MAX = 315_360_000;

export const KeyIdSchema = z
  .string()
  .regex(/^[0-9A-Za-z]{16}$/, 'must be 16 letters and digits, such as demo000000000001')
  .openapi({ example: DEMO.key, description: 'The public ID of a key: the part between its underscores.' });

const KindSchema = z.enum(['live', 'test']).openapi({
  description: 'What the key opens: the live data of the organization, or its test space.',
});

const members = {
  id: KeyIdSchema,
  kind: KindSchema,
  name: z.string(),
  scopes: z.array(z.string()),
  state: z.enum(['active', 'expired', 'revoked']),
  createdBy: KeyIdSchema.nullable().openapi({
    description: 'The ID of the key or session that created it; null if the command line did.',
  }),
  replacedBy: KeyIdSchema.nullable().openapi({ description: 'The ID of the key that replaced it.' }),
  createdAt: TimestampSchema,
  expiresAt: TimestampSchema.nullable(),
  revokedAt: TimestampSchema.nullable(),
  lastUsedAt: TimestampSchema.nullable().openapi({ description: 'When it was last used, within a minute.' }),
};
const token = z.string().openapi({
  example: 'atlas_live_0000000000000000_…',
  description: 'The key itself, for the Authorization header. It is not shown again.',
});

export const KeySchema = z.strictObject(members).openapi('ApiKey');
export const NewKeyResponseSchema = z.strictObject({ ...members, token }).openapi('ApiKeyWithToken');
export const RotatedKeySchema = z
  .strictObject({
    ...members,
    token,
    replaces: KeySchema.openapi({ description: 'The old key, with the time at which it expires.' }),
  })
  .openapi('RotatedApiKey');
export const KeyPageSchema = z
  .strictObject({ keys: z.array(KeySchema), nextCursor: NextCursorSchema })
  .openapi('ApiKeyPage');

/** The body that creates a key, for the scopes that exist. */
export const newKeySchema = (scopes: readonly [string, ...string[]]) =>
  z
    .strictObject({
      name: nameSchema(NAME_LENGTH_MAX).openapi({ description: 'What the key is for.' }),
      kind: KindSchema.nullish().openapi({
        description:
          'What the key opens: live data, or the test space. The default is the kind of your own key, and live for sessions.',
      }),
      scopes: z
        .array(z.enum(scopes))
        .min(1)
        .max(scopes.length)
        .transform((chosen) => [...new Set(chosen)].sort())
        .openapi({ description: 'What the key may do: scopes that your own key has, or your role.' }),
      expiresInSeconds: z.int().min(1).max(LIFETIME_SECONDS_MAX).nullish().openapi({
        description:
          'After how many seconds the key expires; never by default. At the latest when your own key does, if that expires.',
      }),
    })
    .openapi('NewApiKey');

export const RotationSchema = z
  .strictObject({
    overlapSeconds: z.int().min(0).max(OVERLAP_SECONDS_MAX).nullish().openapi({
      description:
        'For how many seconds the old key stays valid, unless it expires earlier: at most 7 days, by default a day.',
    }),
  })
  .openapi('ApiKeyRotation');
