import { z } from '@hono/zod-openapi';
import { ONE_LINE, TimestampSchema, textSchema, UuidSchema } from '../../../http/schemas.ts';
import { DEMO, DEMO_PERSON } from '../../../utils/demo-data.ts';
import { isOneLine } from '../../../utils/one-line.ts';
import { CodeSchema, PasswordSchema } from '../credential-schemas.ts';
import { normalizeEmail } from '../email.ts';
import { EmailSchema } from '../email-schema.ts';

const NAME_LENGTH_MAX = 200;
const ORGANIZATION_LENGTH_MAX = 1000;
const EMAIL_TEXT_LENGTH_MAX = 320;
const TOKEN_LENGTH_MAX = 200;

const NameSchema = z
  .string()
  .max(NAME_LENGTH_MAX, `must have at most ${NAME_LENGTH_MAX} characters`)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a name is shown, and written into mails.
  .regex(/^[^\u0000-\u001f\u007f]*$/, { error: 'must not contain control characters', abort: true })
  .refine(isOneLine, ONE_LINE)
  .openapi({ example: 'Ada Lovelace' });

const TokenSchema = textSchema(TOKEN_LENGTH_MAX).openapi({
  example: 'atlas_once_…',
  description: 'The token in the mail.',
});

export const SignUpSchema = z
  .strictObject({
    email: EmailSchema,
    password: PasswordSchema,
    name: NameSchema.nullish(),
    invitation: textSchema(TOKEN_LENGTH_MAX).nullish().openapi({
      description: 'The token of an invitation to an organization. It confirms the address, too.',
    }),
  })
  .openapi('NewUser');

export const ConfirmationSchema = z
  .strictObject({
    token: TokenSchema,
    password: PasswordSchema.openapi({ description: 'The password of the sign-up.' }),
  })
  .openapi('AddressConfirmation');

export const ResetRequestSchema = z.strictObject({ email: EmailSchema }).openapi('PasswordResetRequest');

export const ResetCompletionSchema = z
  .strictObject({ token: TokenSchema, password: PasswordSchema })
  .openapi('PasswordResetCompletion');

export const PasswordChangeSchema = z
  .strictObject({ currentPassword: PasswordSchema, newPassword: PasswordSchema })
  .openapi('PasswordChange');

export const SignInSchema = z
  .strictObject({
    // What is not an address is refused like an address that nobody has.
    email: z
      .string()
      .max(EMAIL_TEXT_LENGTH_MAX)
      .transform(normalizeEmail)
      .openapi({ type: 'string', format: 'email', example: DEMO_PERSON.email }),
    password: PasswordSchema,
    code: CodeSchema.nullish().openapi({
      description:
        'With a second factor: the code of your authenticator app, or a recovery code. Each works once.',
    }),
    organization: textSchema(ORGANIZATION_LENGTH_MAX).nullish().openapi({
      example: DEMO.owner,
      description: 'The organization to act for; by default the first that you joined.',
    }),
    cookie: z.boolean().nullish().openapi({
      description: 'For pages of this Atlas: whether the token is set as a cookie instead of returned.',
    }),
  })
  .openapi('SignIn');

export const UserUpdateSchema = z.strictObject({ name: NameSchema }).openapi('UserUpdate');

export const UserSchema = z
  .strictObject({
    id: UuidSchema,
    email: z.string().openapi({ example: DEMO_PERSON.email }),
    name: z.string(),
    createdAt: TimestampSchema,
    hasPassword: z.boolean().openapi({ description: 'Whether the person can sign in with a password.' }),
    hasSecondFactor: z.boolean(),
  })
  .openapi('User');

export const AcceptedSchema = z
  .strictObject({
    message: z.string().openapi({ example: 'If this address can be used, a mail is on its way to it.' }),
  })
  .openapi('MailAccepted');
