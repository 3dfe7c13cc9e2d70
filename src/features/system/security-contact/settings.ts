import { z } from 'zod';
import { meta } from '../../../utils/setting-types.ts';

const ALLOWED = 'a mailto:, https: or tel: URL';
const isContact = (text: string) =>
  /^(?:mailto:|https:\/\/|tel:)[\x21-\x7e]+$/.test(text) && URL.canParse(text);

/** Whom to tell about a vulnerability. */
export const securityContactSettings = {
  SECURITY_CONTACT: z
    .string()
    .refine(isContact, { error: 'is not a URL of this kind' })
    .meta({ allowed: ALLOWED })
    .optional()
    .meta(
      meta(
        'Security',
        'Where to report a vulnerability of this service, such as mailto:security@example.com. /.well-known/security.txt shows it. Unset: that is 404.',
      ),
    ),
};
