import { z } from 'zod';
import { choice, flag, integer, issuer, meta, origin } from '../../utils/setting-types.ts';
import type { SettingValues } from '../feature.ts';
import { BURST_MAX, CONCURRENT_REQUESTS_MAX, type DefaultQuotas, REQUESTS_PER_SECOND_MAX } from './quota.ts';

const SECTION = 'Quotas';
const PEOPLE = 'Users and sessions';

/** Sessions, and the quotas of keys and organizations that have none of their own. */
export const identitySettings = {
  PUBLIC_URL: origin()
    .optional()
    .meta(
      meta(
        PEOPLE,
        'Origin at which people find this Atlas, such as https://atlas.example.com, for sign-in and links in mails. Without TLS only localhost is allowed. Unset: in development the address it listens on, elsewhere nobody signs in.',
      ),
    ),
  SIGN_UP: choice('open', 'invitation', 'off')
    .default('invitation')
    .meta(meta(PEOPLE, 'Who can become a user: anybody, those with an invitation, or nobody.')),
  OIDC_ISSUER: issuer()
    .optional()
    .meta(
      meta(
        PEOPLE,
        'Issuer of the OpenID Connect provider that people can sign in through. It sends them back to PUBLIC_URL/v1/sessions/oidc/callback. Unset: none.',
      ),
    ),
  OIDC_CLIENT_ID: z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, { error: 'is too long or contains other characters' })
    .meta({ allowed: '1 to 255 characters of ASCII without spaces' })
    .optional()
    .meta(meta(PEOPLE, 'ID of Atlas at the provider. Required with OIDC_ISSUER.')),
  OIDC_CLIENT_SECRET: z
    .string()
    .min(1)
    .optional()
    .meta(meta(PEOPLE, 'Secret of Atlas at the provider. Required with OIDC_ISSUER.', { secret: true })),
  OIDC_NAME: z
    .string()
    .regex(/^[^\p{Cc}]{1,64}$/u, { error: 'is too long or contains control characters' })
    .meta({ allowed: '1 to 64 characters' })
    .default('the provider')
    .meta(meta(PEOPLE, 'What people call the provider, for mails.')),
  OIDC_TRUSTS_EMAIL: flag()
    .default(false)
    .meta(
      meta(
        PEOPLE,
        'Whether somebody whose mail address the provider has verified is the user with that address, without the password.',
      ),
    ),
  SESSION_IDLE_HOURS: integer(1, 8760)
    .default(12)
    .meta(meta(PEOPLE, 'Hours without a request after which the session of a user ends.')),
  SESSION_MAX_DAYS: integer(1, 365)
    .default(14)
    .meta(meta(PEOPLE, 'Days after which a user must sign in again, whatever the session is used for.')),
  QUOTA_KEY_REQUESTS_PER_SECOND: integer(1, REQUESTS_PER_SECOND_MAX)
    .optional()
    .meta(meta(SECTION, 'Requests per second of each API key. Unset: no limit.')),
  QUOTA_KEY_BURST: integer(0, BURST_MAX)
    .default(0)
    .meta(meta(SECTION, 'Requests of a key beyond that rate, at once after an idle time.')),
  QUOTA_KEY_CONCURRENT_REQUESTS: integer(1, CONCURRENT_REQUESTS_MAX)
    .optional()
    .meta(meta(SECTION, 'Concurrent requests of each API key. Unset: no limit.')),
  QUOTA_ORGANIZATION_REQUESTS_PER_SECOND: integer(1, REQUESTS_PER_SECOND_MAX)
    .optional()
    .meta(meta(SECTION, 'Requests per second of each organization. Unset: no limit.')),
  QUOTA_ORGANIZATION_BURST: integer(0, BURST_MAX)
    .default(0)
    .meta(meta(SECTION, 'Requests of an organization beyond that rate, at once after an idle time.')),
  QUOTA_ORGANIZATION_CONCURRENT_REQUESTS: integer(1, CONCURRENT_REQUESTS_MAX)
    .optional()
    .meta(meta(SECTION, 'Concurrent requests of each organization. Unset: no limit.')),
};

/** Returns the default quotas in the settings. */
export function defaultQuotas(settings: SettingValues<typeof identitySettings>): DefaultQuotas {
  return {
    key: {
      requestsPerSecond: settings.QUOTA_KEY_REQUESTS_PER_SECOND ?? null,
      burst: settings.QUOTA_KEY_BURST,
      concurrentRequests: settings.QUOTA_KEY_CONCURRENT_REQUESTS ?? null,
    },
    organization: {
      requestsPerSecond: settings.QUOTA_ORGANIZATION_REQUESTS_PER_SECOND ?? null,
      burst: settings.QUOTA_ORGANIZATION_BURST,
      concurrentRequests: settings.QUOTA_ORGANIZATION_CONCURRENT_REQUESTS ?? null,
    },
  };
}
