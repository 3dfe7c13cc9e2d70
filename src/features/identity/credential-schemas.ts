import { textSchema } from '../../http/schemas.ts';
import { DEMO_PERSON } from '../../utils/demo-data.ts';

// Those that cannot be set are refused with the reason; of those that are compared, none is longer.
const PASSWORD_LENGTH_MAX = 1024;
const CODE_LENGTH_MAX = 64;

export const PasswordSchema = textSchema(PASSWORD_LENGTH_MAX).openapi({
  format: 'password',
  example: DEMO_PERSON.password,
  description: 'At least 12 characters and at most 256 bytes in UTF-8, taken as they are.',
});

export const CodeSchema = textSchema(CODE_LENGTH_MAX).openapi({
  example: '492039',
  description: 'The code of your authenticator app, or a recovery code. Each works once.',
});
