import type { SealContext } from '../../../utils/sealing.ts';

/** Recovery codes that a user gets at a time. */
export const RECOVERY_CODES = 10;

/** A second factor as it is stored. */
export interface StoredFactor {
  /** A record of `src/utils/sealing.ts`. */
  readonly record: string;
  readonly isConfirmed: boolean;
}

/** What an authenticator app is set up with. */
export interface Enrollment {
  /** In base32, for those who type it. */
  readonly secret: string;
  /** For a QR code. */
  readonly uri: string;
}

/** What the record of a user's secret belongs to. */
export const totpContext = (userId: string): SealContext => ({ purpose: 'totp secret', id: userId });

/** Where the secrets are stored. */
export const SECOND_FACTORS = {
  name: 'second factors',
  table: 'users',
  column: 'totp_secret',
  contextOf: totpContext,
};
