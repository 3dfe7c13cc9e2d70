import { endOfNumber, type NumberFault, numberFault } from './json-number.ts';

/** What JSON may hold at most. */
export interface JsonLimits {
  readonly depthMax: number;
  /** Per object. Bounds the search for repeated names. */
  readonly membersMax: number;
}

/** What is wrong with JSON that a parser accepts, and the index of the character where it starts. */
export interface JsonFault {
  readonly kind: 'deep' | 'crowded' | 'repeated' | NumberFault;
  readonly at: number;
}

const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const [ZERO, NINE] = [48, 57];
const BACKSLASH = 92;
const [BRACKET, BRACKET_END] = [91, 93];
const [BRACE, BRACE_END] = [123, 125];

/**
 * Creates a function that finds what `JSON.parse` would silently alter: repeated members, of which only the last
 * counts, and numbers that are rounded. It also enforces the limits. Depth takes precedence; of the other faults, the
 * first is returned. The text need not be valid: anything else that is wrong is left to the parser.
 *
 * It runs before every parse, so it allocates nothing unless a name has escapes, and cannot overflow a stack.
 */
export function jsonScanner({ depthMax, membersMax }: JsonLimits): (text: string) => JsonFault | null {
  // Shared by all calls. The names of all open objects: where each starts and ends, and its hash.
  const starts = new Int32Array(depthMax * membersMax);
  const ends = new Int32Array(depthMax * membersMax);
  const hashes = new Int32Array(depthMax * membersMax);
  // For each level, the index of the first name of its object, or -1 for an array.
  const firsts = new Int32Array(depthMax + 1).fill(-1);

  return (text) => {
    let fault: JsonFault | null = null;
    let depth = 0;
    let first = -1;
    let count = 0;
    let expectsName = false;
    let unescaped: Map<number, string> | null = null;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === QUOTE) {
        const start = i + 1;
        i = endOfString(text, start);
        if (!expectsName || fault !== null) continue;
        expectsName = false;
        if (count - first === membersMax) fault = { kind: 'crowded', at: start - 1 };
        else {
          starts[count] = start;
          ends[count] = i;
          const name = unescapedName(text, start, i);
          if (name === null) unescaped?.delete(count);
          else unescaped = (unescaped ?? new Map<number, string>()).set(count, name);
          hashes[count] = name === null ? hashOf(text, start, i) : hashOf(name, 0, name.length);
          if (isRepeated(text, first, count, unescaped)) fault = { kind: 'repeated', at: start - 1 };
          count++;
        }
      } else if (code === COMMA) expectsName = first >= 0;
      else if ((code >= ZERO && code <= NINE) || code === MINUS) {
        const start = i;
        i = endOfNumber(text, start) - 1;
        const kind: NumberFault | null = fault === null ? numberFault(text, start, i + 1) : null;
        if (kind !== null) fault = { kind, at: start };
      } else if (code === BRACE || code === BRACKET) {
        if (++depth > depthMax) return { kind: 'deep', at: i };
        first = code === BRACE ? count : -1;
        firsts[depth] = first;
        expectsName = code === BRACE;
      } else if (code === BRACE_END || code === BRACKET_END) {
        // Not JSON, as the parser will find right here.
        if (--depth < 0) return null;
        if (first >= 0) count = first;
        first = firsts[depth]!;
        expectsName = false;
      }
    }
    return fault;
  };

  /** Returns whether the last name equals an earlier one of the same object. */
  function isRepeated(
    text: string,
    first: number,
    last: number,
    unescaped: ReadonlyMap<number, string> | null,
  ): boolean {
    const nameAt = (i: number) => unescaped?.get(i) ?? text.slice(starts[i], ends[i]);
    for (let i = first; i < last; i++) {
      if (hashes[i] === hashes[last] && nameAt(i) === nameAt(last)) return true;
    }
    return false;
  }
}

/** Returns the index of the closing quote, or that of the end of the text. */
function endOfString(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i;
  }
  return text.length;
}

/** Returns the text of a name with escapes, or null for a name without any. */
function unescapedName(text: string, start: number, end: number): string | null {
  for (let i = start; i < end; i++) {
    if (text.charCodeAt(i) !== BACKSLASH) continue;
    try {
      return JSON.parse(text.slice(start - 1, end + 1)) as string;
    } catch {
      // Not JSON, as the parser will find.
      return null;
    }
  }
  return null;
}

// Random, so that callers cannot choose names of equal hash, each of which would be compared with all others.
const SEED = crypto.getRandomValues(new Int32Array(1))[0]!;

/** FNV-1a. */
function hashOf(text: string, start: number, end: number): number {
  let hash = SEED;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
