/** `inexact`: it would be rounded to a whole number. `large`: it is beyond ±(2^53−1). */
export type NumberFault = 'inexact' | 'large';

const [PLUS, MINUS, DOT, ZERO, NINE] = [43, 45, 46, 48, 57];
const [E, LOWER] = [101, 32];
// Decimals of so many digits never share a double (DBL_DIG of C).
const EXACT_DIGITS = 15;

/** Returns the index after the number that starts here. */
export function endOfNumber(text: string, start: number): number {
  let i = start;
  while (i < text.length && isOfNumber(text.charCodeAt(i))) i++;
  return i;
}

function isOfNumber(code: number): boolean {
  return (
    (code >= ZERO && code <= NINE) || code === DOT || code === MINUS || code === PLUS || (code | LOWER) === E
  );
}

/**
 * Returns why a number of JSON must not be read, or null. A double can hold neither 2^53+1 nor 0.99999999999999999999:
 * each would be read as a whole number that it is not. A fraction that stays one, such as 0.1, is as exact as anybody
 * expects. Takes linear time, however many digits there are.
 *
 * @example numberFault('[1.0, 99.99999999999999999]', 6, 26) // 'inexact', since it would be read as 100
 */
export function numberFault(text: string, start: number, end: number): NumberFault | null {
  if (isShort(text, start, end)) return null;
  const token = text.slice(start, end);
  const value = Number(token);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return 'large';
  return Number.isInteger(value) && !isSame(token, value) ? 'inexact' : null;
}

/** Returns whether the number is zero, or so short and so far from the limits of a double that it is exact. */
function isShort(text: string, start: number, end: number): boolean {
  if (end - start > 2 * EXACT_DIGITS) return false;
  let digits = 0;
  let whole = 0;
  let exponent = 0;
  let sign = 1;
  let part = 0;
  let isZero = true;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) part = 1;
    else if ((code | LOWER) === E) part = 2;
    else if (code === MINUS) sign = part === 2 ? -1 : 1;
    else if (code === PLUS) continue;
    else if (part === 2) exponent = exponent * 10 + code - ZERO;
    else {
      digits++;
      if (code !== ZERO) isZero = false;
      if (part === 0) whole++;
    }
  }
  if (isZero) return true;
  return digits <= EXACT_DIGITS && exponent <= EXACT_DIGITS && whole + sign * exponent <= EXACT_DIGITS;
}

/** Returns whether a token has exactly this value, a whole number within ±(2^53−1). */
function isSame(token: string, value: number): boolean {
  const [ours, theirs] = [significant(token), significant(String(value))];
  return ours.digits === theirs.digits && (ours.digits === '' || ours.power === theirs.power);
}

/** Returns the digits of a decimal without zeros at either end, and the power of ten of the last one. */
function significant(decimal: string): { readonly digits: string; readonly power: number } {
  const [mantissa = '', exponent = '0'] = decimal.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const all = whole + fraction;
  let first = 0;
  while (first < all.length && all.charCodeAt(first) === ZERO) first++;
  let end = all.length;
  while (end > first && all.charCodeAt(end - 1) === ZERO) end--;
  return { digits: all.slice(first, end), power: Number(exponent) - fraction.length + all.length - end };
}
