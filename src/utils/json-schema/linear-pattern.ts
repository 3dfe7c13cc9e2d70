import { type PatternNode, parsePattern } from './pattern-syntax.ts';
import type { StepBudget } from './step-budget.ts';

/** Maximum characters of a pattern. */
export const PATTERN_LENGTH_MAX = 500;
/** Maximum states of the machine of a pattern: about its length, with what is repeated as often as it is repeated. */
export const PATTERN_STATES_MAX = 2000;

const ASCII = 128;

/** What a state waits for, or what it checks before it goes on to `next`. */
type State =
  | { readonly kind: 'character'; readonly matcher: CharacterMatcher; next: number }
  | { readonly kind: 'boundary'; readonly source: string; next: number }
  | { readonly kind: 'fork'; next: number; other: number }
  | { readonly kind: 'end' };

/**
 * A regular expression that is matched in time linear in the text: by a machine that is in all of its states at once
 * (Thompson 1968), and so never goes back. JavaScript's own engine takes years for some patterns and short texts.
 */
export class LinearPattern {
  readonly #states: readonly State[];
  readonly #start: number;

  private constructor(states: readonly State[], start: number) {
    this.#states = states;
    this.#start = start;
  }

  /** Throws an Error whose message is a predicate, such as "must have at most …". */
  static compile(source: string): LinearPattern {
    if (source.length > PATTERN_LENGTH_MAX)
      throw new Error(`must have at most ${PATTERN_LENGTH_MAX} characters`);
    const builder = new MachineBuilder();
    const end = builder.add({ kind: 'end' });
    return new LinearPattern(builder.states, builder.build(parsePattern(source), end));
  }

  get stateCount(): number {
    return this.#states.length;
  }

  /** Whether the pattern matches anywhere in the text. Throws `BudgetSpent`. */
  test(text: string, budget: StepBudget): boolean {
    const entered = new Int32Array(this.#states.length).fill(-1);
    let current: number[] = [];
    let before = -1;
    for (let at = 0, step = 0; ; step++) {
      const here = text.codePointAt(at) ?? -1;
      // A match may start at any character.
      const closed: number[] = [];
      if (this.#enter([...current, this.#start], { before, here, step, entered, closed })) return true;
      budget.spend(1 + closed.length);
      if (here === -1) return false;
      current = [];
      for (const index of closed) {
        const state = this.#states[index]!;
        if (state.kind === 'character' && state.matcher.matches(here)) current.push(state.next);
      }
      before = here;
      at += here > 0xffff ? 2 : 1;
    }
  }

  /** Adds all states that are reached without a character to `closed`. Returns whether the end is one of them. */
  #enter(pending: number[], { before, here, step, entered, closed }: Position): boolean {
    while (pending.length > 0) {
      const index = pending.pop()!;
      if (entered[index] === step) continue;
      entered[index] = step;
      closed.push(index);
      const state = this.#states[index]!;
      if (state.kind === 'end') return true;
      if (state.kind === 'fork') pending.push(state.next, state.other);
      else if (state.kind === 'boundary' && isAt(state.source, before, here)) pending.push(state.next);
    }
    return false;
  }
}

/** Between two characters: code points, or -1 at the ends of the text. */
interface Position {
  readonly before: number;
  readonly here: number;
  readonly step: number;
  /** By state, the last step that entered it. */
  readonly entered: Int32Array;
  readonly closed: number[];
}

/** Builds the states of a tree from its end to its start. */
class MachineBuilder {
  readonly states: State[] = [];
  readonly #matchers = new Map<string, CharacterMatcher>();

  add(state: State): number {
    if (this.states.length >= PATTERN_STATES_MAX)
      throw new Error(`must be shorter, or repeat less: it has more than ${PATTERN_STATES_MAX} states`);
    return this.states.push(state) - 1;
  }

  /** Returns the state that leads to `next` through what the tree matches. */
  build(node: PatternNode, next: number): number {
    switch (node.kind) {
      case 'character':
        return this.add({ kind: 'character', matcher: this.#matcherOf(node.source), next });
      case 'boundary':
        return this.add({ kind: 'boundary', source: node.source, next });
      case 'sequence':
        return node.of.reduceRight((after, one) => this.build(one, after), next);
      case 'choice':
        return node.of
          .map((one) => this.build(one, next))
          .reduce((other, one) => this.add({ kind: 'fork', next: one, other }));
      case 'repeat':
        return this.#repeat(node, next);
    }
  }

  #repeat({ of, min, max }: Extract<PatternNode, { kind: 'repeat' }>, next: number): number {
    let start = next;
    if (max === Number.POSITIVE_INFINITY) {
      const loop: State = { kind: 'fork', next, other: next };
      start = this.add(loop);
      loop.other = this.build(of, start);
    } else {
      for (let i = min; i < max; i++)
        start = this.add({ kind: 'fork', next: this.build(of, start), other: next });
    }
    for (let i = 0; i < min; i++) {
      const after = start;
      start = this.build(of, after);
      // It takes no states, so none would stop a repetition of billions.
      if (start === after) break;
    }
    return start;
  }

  #matcherOf(source: string): CharacterMatcher {
    const matcher = this.#matchers.get(source) ?? new CharacterMatcher(source);
    this.#matchers.set(source, matcher);
    return matcher;
  }
}

/** Matches one character by the part of the pattern that describes it. What it finds for ASCII is remembered. */
class CharacterMatcher {
  readonly #source: string;
  readonly #ascii = new Int8Array(ASCII);
  #regExp: RegExp | null = null;

  constructor(source: string) {
    this.#source = source;
  }

  matches(codePoint: number): boolean {
    if (codePoint >= ASCII) return this.#test(codePoint);
    if (this.#ascii[codePoint] === 0) this.#ascii[codePoint] = this.#test(codePoint) ? 1 : -1;
    return this.#ascii[codePoint] === 1;
  }

  #test(codePoint: number): boolean {
    this.#regExp ??= new RegExp(`^${this.#source}$`, 'u');
    return this.#regExp.test(String.fromCodePoint(codePoint));
  }
}

function isAt(boundary: string, before: number, here: number): boolean {
  if (boundary === '^') return before === -1;
  if (boundary === '$') return here === -1;
  return (isWord(before) !== isWord(here)) === (boundary === '\\b');
}

function isWord(codePoint: number): boolean {
  return codePoint !== -1 && /\w/.test(String.fromCodePoint(codePoint));
}
