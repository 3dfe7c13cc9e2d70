import { Secret, TOTP } from 'otpauth';
import type { Enrollment } from './domain.ts';

// As long as the hash, as RFC 4226 recommends. Authenticator apps know SHA-1, 6 digits, and 30 s; many ignore the rest.
const SECRET_BYTES = 20;
const PERIOD_SECONDS = 30;
const DIGITS = 6;
const FORM = { algorithm: 'SHA1', digits: DIGITS, period: PERIOD_SECONDS } as const;
// One step to each side, for clocks that differ and people who type slowly (RFC 6238, section 5.2).
const WINDOW_STEPS = 1;

export const TOTP_CODE = new RegExp(`^[0-9]{${DIGITS}}$`);

/** Returns a new random secret. */
export function generateTotpSecret(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
}

/** Returns what the authenticator app of a person is set up with. `origin` says in it which Atlas this is. */
export function enrollmentOf(secret: Uint8Array, email: string, origin: string): Enrollment {
  const issuer = `Atlas (${new URL(origin).hostname.replaceAll(':', '.')})`;
  const totp = new TOTP({ ...FORM, issuer, label: email, secret: secretOf(secret) });
  return { secret: totp.secret.base32, uri: totp.toString() };
}

/** Returns the time step whose code this is, of those around now; null if it is none of them. */
export function stepOfCode(secret: Uint8Array, code: string, nowMs = Date.now()): number | null {
  if (!TOTP_CODE.test(code)) return null;
  const at = { secret: secretOf(secret), token: code, timestamp: nowMs, window: WINDOW_STEPS };
  const delta = TOTP.validate({ ...FORM, ...at });
  return delta === null ? null : Math.floor(nowMs / 1000 / PERIOD_SECONDS) + delta;
}

function secretOf(bytes: Uint8Array): Secret {
  return new Secret({ buffer: new Uint8Array(bytes).buffer });
}
