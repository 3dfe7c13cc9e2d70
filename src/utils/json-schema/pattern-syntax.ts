/** A regular expression as a tree. Groups and lazy quantifiers do not matter for whether there is a match. */
export type PatternNode =
  | { readonly kind: 'character'; readonly source: string }
  | { readonly kind: 'boundary'; readonly source: '^' | '$' | '\\b' | '\\B' }
  | { readonly kind: 'sequence' | 'choice'; readonly of: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly of: PatternNode; readonly min: number; readonly max: number };

// In the order of these alternatives: a pair of surrogates is one character.
const ESCAPES = [
  String.raw`u\{[0-9a-fA-F]+\}`,
  String.raw`u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}`,
  'u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[a-zA-Z]',
  String.raw`[pP]\{[^}]*\}|.`,
];
const ESCAPE = new RegExp(String.raw`\\(?:${ESCAPES.join('|')})`, 'sy');
const QUANTIFIER = /(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/y;
const GROUP = /\((?:\?:|\?<[^>=!]+>)?/y;

/**
 * Parses a regular expression of ECMA-262 with the flag `u`, as JSON Schema has them. Throws an Error whose message is
 * a predicate: for a mistake, and for what cannot be matched in linear time (lookarounds and backreferences).
 */
export function parsePattern(source: string): PatternNode {
  try {
    new RegExp(source, 'u');
  } catch {
    throw new Error('must be a regular expression of ECMA-262, with the flag u');
  }
  return new Parser(source).parse();
}

/** Reads a source that is known to be valid. */
class Parser {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): PatternNode {
    const choices = [this.#sequence()];
    while (this.#source[this.#at] === '|') {
      this.#at++;
      choices.push(this.#sequence());
    }
    return choices.length === 1 ? choices[0]! : { kind: 'choice', of: choices };
  }

  #sequence(): PatternNode {
    const of: PatternNode[] = [];
    while (this.#at < this.#source.length && !'|)'.includes(this.#source[this.#at]!))
      of.push(this.#quantified());
    return { kind: 'sequence', of };
  }

  #quantified(): PatternNode {
    const of = this.#atom();
    const [, sign, min, comma, max] = this.#take(QUANTIFIER) ?? [];
    if (sign !== undefined)
      return {
        kind: 'repeat',
        of,
        min: sign === '+' ? 1 : 0,
        max: sign === '?' ? 1 : Number.POSITIVE_INFINITY,
      };
    if (min === undefined) return of;
    const least = Number(min);
    return { kind: 'repeat', of, min: least, max: comma ? Number(max || Number.POSITIVE_INFINITY) : least };
  }

  #atom(): PatternNode {
    const first = this.#source[this.#at]!;
    if (first === '(') return this.#group();
    if (first === '[') return { kind: 'character', source: this.#class() };
    if (first === '^' || first === '$') {
      this.#at++;
      return { kind: 'boundary', source: first };
    }
    if (first === '\\') return this.#escape();
    const source = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
    this.#at += source.length;
    return { kind: 'character', source };
  }

  #group(): PatternNode {
    if (this.#take(GROUP) === null || this.#source[this.#at] === '?')
      throw new Error('must not look around or set flags, as in (?=…), (?<!…), or (?i:…)');
    const inside = this.parse();
    this.#at++;
    return inside;
  }

  #class(): string {
    const start = this.#at++;
    while (this.#source[this.#at] !== ']') this.#at += this.#source[this.#at] === '\\' ? 2 : 1;
    return this.#source.slice(start, ++this.#at);
  }

  #escape(): PatternNode {
    const [source] = this.#take(ESCAPE)!;
    if (source === '\\b' || source === '\\B') return { kind: 'boundary', source };
    if (/^\\[1-9k]/.test(source)) throw new Error('must not refer back to a group, as in \\1 or \\k<name>');
    return { kind: 'character', source };
  }

  #take(token: RegExp): RegExpExecArray | null {
    token.lastIndex = this.#at;
    const match = token.exec(this.#source);
    if (match !== null) this.#at += match[0].length;
    return match;
  }
}
