import { AtlasError } from '../../errors.ts';
import { isCommonPassword } from './common-passwords.ts';

export const PASSWORD_CHARACTERS_MIN = 12;
/** More would only take time to send; the hash covers all of it. */
export const PASSWORD_BYTES_MAX = 256;

// What a password must have besides words that everybody connects with this account.
const OWN_CHARACTERS_MIN = 8;
const WORD_LENGTH_MIN = 4;
const PRODUCT = 'atlas';

/** Whose password it is to be. */
export interface PasswordOwner {
  readonly email: string;
  readonly name: string;
}

/**
 * Throws `password_unsuitable`, with the reason, if nobody should have this password. Length is what counts: there are
 * no rules about characters, and the password is taken exactly as it was sent (NIST SP 800-63B; OWASP ASVS 5, 6.2).
 */
export async function requireSuitable(password: string, owner: PasswordOwner): Promise<void> {
  const characters = [...password].length;
  if (characters < PASSWORD_CHARACTERS_MIN)
    throw unsuitable(`it has ${characters} characters, and at least ${PASSWORD_CHARACTERS_MIN} are required`);
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX)
    throw unsuitable(`it is longer than ${PASSWORD_BYTES_MAX} bytes`);
  if ([...withoutContext(password, owner)].length < OWN_CHARACTERS_MIN)
    throw unsuitable('apart from your name, your mail address, and the name of Atlas, little is left of it');
  if (await isCommonPassword(password)) throw unsuitable('it is among the first that are guessed');
}

function withoutContext(password: string, { email, name }: PasswordOwner): string {
  const words = `${email} ${name} ${PRODUCT}`.toLowerCase().split(/[^\p{L}\p{N}]+/u);
  const longestFirst = words
    .filter(({ length }) => length >= WORD_LENGTH_MIN)
    .sort((a, b) => b.length - a.length);
  return longestFirst.reduce((rest, word) => rest.replaceAll(word, ''), password.toLowerCase());
}

const unsuitable = (why: string) =>
  new AtlasError('password_unsuitable', `This password cannot be used: ${why}.`);
