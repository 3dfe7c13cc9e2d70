import { z } from '@hono/zod-openapi';
import { TimestampSchema, textSchema } from '../../../http/schemas.ts';
import { CodeSchema, PasswordSchema } from '../credential-schemas.ts';
import { IDENTITIES_PER_USER_MAX } from './domain.ts';
import { isOwnPath, OWN_PATH } from './redirect.ts';

const PATH_LENGTH_MAX = 500;
const INVITATION_LENGTH_MAX = 200;

export const BeginQuerySchema = z.strictObject({
  redirect: z
    .string()
    .max(PATH_LENGTH_MAX)
    .refine(isOwnPath, 'must be a path of this site, such as /docs')
    .default('/')
    .openapi({
      type: 'string',
      pattern: OWN_PATH.source,
      description: 'The path of this site to go to in the end.',
    }),
  recent: z.enum(['true', 'false']).default('false').openapi({
    description:
      'Whether the provider has to ask you again, unless you signed in there within the last minute, so that the session counts as one of the last 10 minutes.',
  }),
  invitation: textSchema(INVITATION_LENGTH_MAX)
    .optional()
    .openapi({ description: 'The token of an invitation, for those who have no user yet.' }),
});

/** What the provider adds differs, so nothing else is rejected. The flow says what must be in it. */
export const CallbackQuerySchema = z.looseObject({
  state: z.string().max(PATH_LENGTH_MAX).optional(),
  code: z.string().optional().openapi({ description: 'Of the provider.' }),
  iss: z.string().optional().openapi({ description: 'The issuer (RFC 9207).' }),
  error: z.string().optional().openapi({ description: 'Why the provider signs nobody in.' }),
});

export const IdentityPathSchema = z.object({
  id: z
    .string()
    .regex(/^[\w-]{43}$/, 'must be 43 letters, digits, - and _')
    .openapi({
      example: 'qk5lVfUq0l1hQfYQW5d8T3vR0m2Zg1xkq7uN9cB4aEo',
      description: 'The ID of an identity.',
    }),
});

export const IdentityListSchema = z
  .strictObject({
    identities: z
      .array(
        z
          .strictObject({
            id: z.string(),
            issuer: z.string().openapi({ example: 'https://sso.example.com' }),
            subject: z.string().openapi({ description: 'Who you are at the provider.' }),
            linkedAt: TimestampSchema,
          })
          .openapi('LinkedIdentity'),
      )
      .max(IDENTITIES_PER_USER_MAX),
  })
  .openapi('LinkedIdentityList');

export const CompletionSchema = z
  .strictObject({
    password: PasswordSchema.nullish().openapi({
      description:
        'The password of the user to link, unless a session of that user, of the last 10 minutes, is sent along.',
    }),
    code: CodeSchema.nullish(),
  })
  .openapi('ProviderSignInCompletion');
