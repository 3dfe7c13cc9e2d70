import { z } from '@hono/zod-openapi';
import { DEMO_PERSON } from '../../utils/demo-data.ts';
import { isMailAddress } from '../../utils/mail-address.ts';
import { EMAIL_LENGTH_MAX, normalizeEmail } from './email.ts';

const MustBeEmail = 'must be a mail address such as ada@example.com';

/** A mail address that Atlas can send to, converted to the form in which it is stored. */
export const EmailSchema = z
  .string()
  .max(EMAIL_LENGTH_MAX, MustBeEmail)
  .transform((text, context) => {
    const email = normalizeEmail(text);
    if (email !== null && isMailAddress(email)) return email;
    context.addIssue({ code: 'custom', message: MustBeEmail });
    return z.NEVER;
  })
  .openapi({ type: 'string', format: 'email', maxLength: EMAIL_LENGTH_MAX, example: DEMO_PERSON.email });
