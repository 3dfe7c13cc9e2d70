// Shorter parts would make any password look like a combination of common ones.
const PART_LENGTH_MIN = 4;
// The longest unit that a password may repeat, and rows of keys.
const UNIT_LENGTH_MAX = 4;
const ROWS = ['abcdefghijklmnopqrstuvwxyz', '01234567890123456789', 'qwertyuiopasdfghjklzxcvbnm'];

let leaked: Promise<ReadonlySet<string>> | null = null;

/** The 49,000 most frequent passwords of public leaks, in lower case. Loaded when the first password is chosen. */
function leakedPasswords(): Promise<ReadonlySet<string>> {
  leaked ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common'] as readonly string[]),
  );
  return leaked;
}

/**
 * Whether a password is among the first that are guessed: one of those of public leaks, two of them in a row, one
 * with digits and signs around it, a short unit that is repeated, or a row of keys; in upper or lower case, with
 * anything between the words.
 */
export async function isCommonPassword(password: string): Promise<boolean> {
  const known = await leakedPasswords();
  const text = password.toLowerCase().replaceAll(/[\s_.,;:!?-]+/g, '');
  const core = text.replaceAll(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
  return known.has(text) || isRow(text) || isRepeated(text) || known.has(core) || isTwoOf(known, core);
}

function isTwoOf(known: ReadonlySet<string>, text: string): boolean {
  for (let at = PART_LENGTH_MIN; at <= text.length - PART_LENGTH_MIN; at++)
    if (known.has(text.slice(0, at)) && known.has(text.slice(at))) return true;
  return false;
}

function isRow(text: string): boolean {
  const backwards = [...text].reverse().join('');
  return ROWS.some((row) => row.includes(text) || row.includes(backwards));
}

function isRepeated(text: string): boolean {
  for (let length = 1; length <= UNIT_LENGTH_MAX; length++) {
    const unit = text.slice(0, length);
    if (unit.repeat(Math.ceil(text.length / length)).slice(0, text.length) === text) return true;
  }
  return false;
}
