import { APPLICATORS, NOTHING } from './applicators.ts';
import { ASSERTIONS } from './assertions.ts';
import { Evaluation, type ValueFault } from './evaluation.ts';
import {
  countOf,
  isObject,
  type Keyword,
  type KeywordUse,
  type RawSchema,
  require,
  within,
} from './keyword.ts';
import { LinearPattern } from './linear-pattern.ts';
import { SchemaFault } from './schema-fault.ts';
import { type Check, SchemaNode } from './schema-node.ts';

/** The dialect of all schemas, and the only `$schema`. */
export const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** Maximum subschemas of a schema. */
export const SUBSCHEMAS_MAX = 2000;
/**
 * Maximum characters of the pointers to all subschemas together. Each has the names of all that it is in, so a long one
 * would be stored a thousand times.
 */
const POINTERS_LENGTH_MAX = 1_000_000;
/** Maximum states of the patterns of a schema together. */
const STATES_MAX = 10_000;
const ANCHOR = /^[A-Za-z_][\w.-]*$/;

const isText = (value: unknown) => typeof value === 'string';
const isFlag = (value: unknown) => typeof value === 'boolean';
/** Keywords that check nothing, and what they may be. */
const ANNOTATIONS: Readonly<Record<string, (value: unknown) => boolean>> = {
  title: isText,
  description: isText,
  default: () => true,
  examples: Array.isArray,
  deprecated: isFlag,
  readOnly: isFlag,
  writeOnly: isFlag,
  contentEncoding: isText,
  contentMediaType: isText,
  $comment: isText,
  $anchor: (value) => typeof value === 'string' && ANCHOR.test(value),
};
const annotations = Object.entries(ANNOTATIONS).map(([name, fits]): [string, Keyword] => [
  name,
  ({ value, pointer }) => {
    require(fits(value), pointer, 'has the wrong type');
    return null;
  },
]);
const onlyCounted: Keyword = (use) => {
  countOf(use);
  return null;
};
const dialect: Keyword = ({ value, pointer }) => {
  require(pointer === '/$schema' && value === DIALECT, pointer, `must be ${DIALECT}, and only at the root`);
  return null;
};
const identifier: Keyword = ({ value, pointer }) => {
  require(typeof value === 'string', pointer, 'must be a string');
  require(pointer === '/$id' && !value.includes('#'), pointer, 'must be at the root, and have no fragment');
  return null;
};

/** All keywords, in the order of their evaluation. */
const KEYWORDS: ReadonlyMap<string, Keyword> = new Map([
  ['$schema', dialect],
  ['$id', identifier],
  ...annotations,
  ['minContains', onlyCounted],
  ['maxContains', onlyCounted],
  ...Object.entries(ASSERTIONS),
  ...Object.entries(APPLICATORS),
]);

/**
 * A JSON Schema (2020-12) that validates values in a bounded number of steps. It is interpreted: no code is generated
 * from it. Not supported are references to other documents, `$id` in subschemas, `$dynamicRef`, and `$vocabulary`. A
 * keyword that is not known is refused, since it is usually a mistake, unless it begins with `x-`.
 */
export class CompiledSchema {
  readonly #root: SchemaNode;

  private constructor(root: SchemaNode) {
    this.#root = root;
  }

  /** The schema must come from JSON. Throws {@link SchemaFault} for its first mistake. */
  static compile(schema: unknown): CompiledSchema {
    return new CompiledSchema(new Compiler().run(schema));
  }

  /** Returns the mistakes of a value, at most 20. Throws `BudgetSpent` if more steps are needed. */
  validate(value: unknown, stepsMax: number): readonly ValueFault[] {
    const evaluation = new Evaluation(stepsMax);
    this.#root.evaluate(value, null, evaluation);
    return evaluation.faults;
  }
}

class Compiler {
  readonly #nodes = new Map<string, SchemaNode>();
  readonly #anchors = new Map<string, SchemaNode>();
  readonly #patterns = new Map<string, LinearPattern>();
  readonly #references: (() => void)[] = [];
  #states = 0;
  #pointersLength = 0;

  run(schema: unknown): SchemaNode {
    const root = this.#compile(schema, '');
    for (const resolve of this.#references) resolve();
    requireNoLoop(this.#nodes.values());
    return root;
  }

  #compile(schema: unknown, pointer: string): SchemaNode {
    require(typeof schema === 'boolean' ||
      isObject(schema), pointer, 'must be a schema: an object, true, or false');
    require(this.#nodes.size < SUBSCHEMAS_MAX, pointer, `is more than ${SUBSCHEMAS_MAX} subschemas`);
    this.#pointersLength += pointer.length;
    require(this.#pointersLength <=
      POINTERS_LENGTH_MAX, pointer, 'must have shorter names: the pointers to all subschemas are too long');
    const node = new SchemaNode(pointer);
    this.#nodes.set(pointer, node);
    if (typeof schema === 'boolean') {
      if (!schema) node.checks = [NOTHING];
      return node;
    }
    this.#requireKnown(schema, pointer);
    this.#setAnchor(schema.$anchor, node);
    const checks: Check[] = [];
    for (const [name, keyword] of KEYWORDS) {
      if (!Object.hasOwn(schema, name)) continue;
      const check = keyword(this.#use(schema, name, node));
      if (check !== null) checks.push(check);
    }
    node.checks = checks;
    return node;
  }

  #requireKnown(schema: RawSchema, pointer: string): void {
    for (const name of Object.keys(schema)) {
      if (KEYWORDS.has(name) || name.startsWith('x-')) continue;
      const at = within(pointer, name);
      throw new SchemaFault(at, 'is not a supported keyword; your own may begin with x-');
    }
  }

  #setAnchor(anchor: unknown, node: SchemaNode): void {
    if (typeof anchor !== 'string') return;
    require(!this.#anchors.has(anchor), `${node.pointer}/$anchor`, 'is there twice, and must be unique');
    this.#anchors.set(anchor, node);
  }

  #use(schema: RawSchema, name: string, node: SchemaNode): KeywordUse {
    const compile = (subschema: unknown, pointer: string) => this.#compile(subschema, pointer);
    return {
      value: schema[name],
      pointer: within(node.pointer, name),
      schema,
      node,
      compile,
      compileInPlace(subschema, pointer) {
        const compiled = compile(subschema, pointer);
        node.inPlace.push(compiled);
        return compiled;
      },
      pattern: (source, pointer) => this.#pattern(source, pointer),
      refer: (reference, pointer, found) => {
        this.#references.push(() => found(this.#find(reference, pointer)));
      },
    };
  }

  #pattern(source: unknown, pointer: string): LinearPattern {
    require(typeof source === 'string', pointer, 'must be a string');
    const known = this.#patterns.get(source);
    if (known !== undefined) return known;
    let pattern: LinearPattern;
    try {
      pattern = LinearPattern.compile(source);
    } catch (error) {
      throw new SchemaFault(pointer, (error as Error).message);
    }
    this.#states += pattern.stateCount;
    require(this.#states <=
      STATES_MAX, pointer, `must repeat less: all patterns have more than ${STATES_MAX} states`);
    this.#patterns.set(source, pattern);
    return pattern;
  }

  #find(reference: string, pointer: string): SchemaNode {
    require(reference.startsWith('#'), pointer, 'must begin with #: other documents are never read');
    let fragment: string;
    try {
      fragment = decodeURIComponent(reference.slice(1));
    } catch {
      throw new SchemaFault(pointer, 'must be percent-encoded UTF-8');
    }
    const isPointer = fragment === '' || fragment.startsWith('/');
    const target = isPointer ? this.#nodes.get(fragment) : this.#anchors.get(fragment);
    require(target !== undefined, pointer, 'must point to a schema in this document');
    return target;
  }
}

/** Throws if a schema applies to the same value again and again. */
function requireNoLoop(nodes: Iterable<SchemaNode>): void {
  const state = new Map<SchemaNode, 'open' | 'done'>();
  for (const start of nodes) {
    const stack = [start];
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      if (!state.has(node)) {
        state.set(node, 'open');
        for (const next of node.inPlace) {
          require(state.get(next) !==
            'open', node.pointer, 'refers to itself for the same value, without end');
          if (!state.has(next)) stack.push(next);
        }
      } else {
        stack.pop();
        state.set(node, 'done');
      }
    }
  }
}
