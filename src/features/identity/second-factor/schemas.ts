import { z } from '@hono/zod-openapi';
import { DEMO_PERSON } from '../../../utils/demo-data.ts';
import { CodeSchema, PasswordSchema } from '../credential-schemas.ts';
import { RECOVERY_CODES } from './domain.ts';

const OwnPasswordSchema = PasswordSchema.nullish().openapi({
  example: DEMO_PERSON.password,
  description:
    'Your password. Without one, for people who sign in through a provider only, a session of the last 10 minutes is needed.',
});

export const EnrollmentRequestSchema = z
  .strictObject({ password: OwnPasswordSchema })
  .openapi('SecondFactorEnrollment');

export const EnrollmentSchema = z
  .strictObject({
    secret: z.string().openapi({
      example: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP',
      description: 'For those who type it into their authenticator app, in base32. It is not shown again.',
    }),
    uri: z.string().openapi({
      example: 'otpauth://totp/Atlas:demo%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Atlas',
      description: 'For a QR code.',
    }),
  })
  .openapi('EnrolledSecondFactor');

export const ConfirmationCodeSchema = z
  .strictObject({
    code: CodeSchema.openapi({ description: 'The current code of your authenticator app.' }),
  })
  .openapi('SecondFactorConfirmation');

export const BothFactorsSchema = z
  .strictObject({ password: OwnPasswordSchema, code: CodeSchema })
  .openapi('BothFactors');

export const RecoveryCodesSchema = z
  .strictObject({
    recoveryCodes: z
      .array(z.string().openapi({ example: '7K3M9Q-XW2PRT-0VHD5N-C8FJ4B' }))
      .length(RECOVERY_CODES)
      .openapi({ description: 'Each works once instead of a code of the app. They are not shown again.' }),
  })
  .openapi('NewRecoveryCodes');
