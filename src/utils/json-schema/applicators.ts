import type { Evaluation, Place } from './evaluation.ts';
import { isObject, type Keyword, type KeywordUse, listOf, objectOf, require, within } from './keyword.ts';
import type { Check, SchemaNode } from './schema-node.ts';

const NOT_ALLOWED = 'is not allowed';

const branchesOf = (use: KeywordUse) =>
  listOf(use).map((schema, index) => use.compileInPlace(schema, `${use.pointer}/${index}`));

/** The subschemas of a keyword by name. */
const byName = (use: KeywordUse, compile: KeywordUse['compile']) =>
  Object.entries(objectOf(use)).map(
    ([name, schema]) => [name, compile(schema, within(use.pointer, name))] as const,
  );

const allOf: Keyword = (use) => {
  const branches = branchesOf(use);
  return (value, at, run, seen) => {
    let isValid = true;
    for (const branch of branches) isValid = branch.evaluate(value, at, run, seen) && isValid;
    return isValid;
  };
};

const anyOf: Keyword = (use) => {
  const branches = branchesOf(use);
  return (value, at, run, seen) => {
    let isValid = false;
    for (const branch of branches) {
      isValid = run.tries(branch, value, seen) || isValid;
      // Later branches matter only for what they evaluate.
      if (isValid && seen === null) break;
    }
    return isValid || run.fault(at, 'must match at least one schema of anyOf');
  };
};

const oneOf: Keyword = (use) => {
  const branches = branchesOf(use);
  return (value, at, run, seen) => {
    let count = 0;
    for (const branch of branches) if (run.tries(branch, value, seen)) count++;
    return count === 1 || run.fault(at, `must match exactly one schema of oneOf, and matches ${count}`);
  };
};

const not: Keyword = (use) => {
  const node = use.compileInPlace(use.value, use.pointer);
  return (value, at, run) => !run.tries(node, value) || run.fault(at, 'must not match the schema of not');
};

const conditional: Keyword = (use) => {
  const condition = use.compileInPlace(use.value, use.pointer);
  const { schema, pointer } = use;
  const branch = (name: string) =>
    Object.hasOwn(schema, name)
      ? use.compileInPlace(schema[name], `${pointer.slice(0, -'if'.length)}${name}`)
      : null;
  const [then, otherwise] = [branch('then'), branch('else')];
  return (value, at, run, seen) => {
    const chosen = run.tries(condition, value, seen) ? then : otherwise;
    return chosen === null || chosen.evaluate(value, at, run, seen);
  };
};

/** `then` and `else` belong to `if`; without one they are checked and never apply. */
const branchOfIf: Keyword = (use) => {
  if (!Object.hasOwn(use.schema, 'if')) use.compile(use.value, use.pointer);
  return null;
};

const dependentSchemas: Keyword = (use) => {
  const rules = byName(use, use.compileInPlace);
  return (value, at, run, seen) => {
    if (!isObject(value)) return true;
    let isValid = true;
    for (const [name, node] of rules) {
      run.budget.spend(1);
      if (Object.hasOwn(value, name)) isValid = node.evaluate(value, at, run, seen) && isValid;
    }
    return isValid;
  };
};

const properties: Keyword = (use) => {
  const nodes = byName(use, use.compile);
  return (value, at, run, seen) => {
    if (!isObject(value)) return true;
    let isValid = true;
    for (const [name, node] of nodes) {
      run.budget.spend(1);
      if (!Object.hasOwn(value, name)) continue;
      isValid = node.evaluate(value[name], { parent: at, step: name }, run) && isValid;
      seen?.names.add(name);
    }
    return isValid;
  };
};

const patternProperties: Keyword = (use) => {
  const rules = byName(use, use.compile).map(
    ([source, node]) => [use.pattern(source, within(use.pointer, source)), node] as const,
  );
  if (rules.length === 0) return null;
  return (value, at, run, seen) => {
    if (!isObject(value)) return true;
    let isValid = true;
    for (const name of Object.keys(value))
      for (const [pattern, node] of rules) {
        if (!pattern.test(name, run.budget)) continue;
        isValid = node.evaluate(value[name], { parent: at, step: name }, run) && isValid;
        seen?.names.add(name);
      }
    return isValid;
  };
};

const additionalProperties: Keyword = (use) => {
  const node = use.compile(use.value, use.pointer);
  const { properties: named, patternProperties: matched } = use.schema;
  const names = new Set(isObject(named) ? Object.keys(named) : []);
  const sources = isObject(matched) ? Object.keys(matched) : [];
  const patterns = sources.map((source) => use.pattern(source, use.pointer));
  return (value, at, run, seen) =>
    eachMember(value, at, run, (name, member, place) => {
      if (names.has(name) || patterns.some((pattern) => pattern.test(name, run.budget))) return true;
      seen?.names.add(name);
      return node.evaluate(member, place, run);
    });
};

const unevaluatedProperties: Keyword = (use) => {
  const node = use.compile(use.value, use.pointer);
  use.node.needsEvaluated = true;
  return (value, at, run, seen) => {
    if (!isObject(value)) return true;
    const isValid = eachMember(
      value,
      at,
      run,
      (name, member, place) => seen!.hasName(name) || node.evaluate(member, place, run),
    );
    seen!.hasAllNames = true;
    return isValid;
  };
};

const propertyNames: Keyword = (use) => {
  const node = use.compile(use.value, use.pointer);
  return (value, at, run) => eachMember(value, at, run, (name, _, place) => node.evaluate(name, place, run));
};

function eachMember(
  value: unknown,
  at: Place | null,
  run: Evaluation,
  check: (name: string, member: unknown, place: Place) => boolean,
): boolean {
  if (!isObject(value)) return true;
  let isValid = true;
  for (const name of Object.keys(value)) {
    run.budget.spend(1);
    isValid = check(name, value[name], { parent: at, step: name }) && isValid;
  }
  return isValid;
}

const prefixItems: Keyword = (use) => {
  const nodes = listOf(use).map((schema, index) => use.compile(schema, `${use.pointer}/${index}`));
  return (value, at, run, seen) => {
    if (!Array.isArray(value)) return true;
    const count = Math.min(nodes.length, value.length);
    if (seen !== null) seen.itemCount = Math.max(seen.itemCount, count);
    return eachItem(value, 0, at, run, (item, place, index) =>
      index < count ? nodes[index]!.evaluate(item, place, run) : true,
    );
  };
};

const items: Keyword = (use) => {
  require(!Array.isArray(
    use.value,
  ), use.pointer, 'must be one schema; for a list of schemas, use prefixItems');
  const node = use.compile(use.value, use.pointer);
  const { prefixItems: prefix } = use.schema;
  const start = Array.isArray(prefix) ? prefix.length : 0;
  return (value, at, run, seen) => {
    if (!Array.isArray(value)) return true;
    if (seen !== null) seen.itemCount = Number.POSITIVE_INFINITY;
    return eachItem(value, start, at, run, (item, place) => node.evaluate(item, place, run));
  };
};

const unevaluatedItems: Keyword = (use) => {
  const node = use.compile(use.value, use.pointer);
  use.node.needsEvaluated = true;
  return (value, at, run, seen) => {
    if (!Array.isArray(value)) return true;
    const isValid = eachItem(
      value,
      0,
      at,
      run,
      (item, place, index) => seen!.hasItem(index) || node.evaluate(item, place, run),
    );
    seen!.itemCount = Number.POSITIVE_INFINITY;
    return isValid;
  };
};

const contains: Keyword = (use) => {
  const node = use.compile(use.value, use.pointer);
  const { minContains: min = 1, maxContains: max = Number.POSITIVE_INFINITY } = use.schema;
  return (value, at, run, seen) => {
    if (!Array.isArray(value)) return true;
    let count = 0;
    for (const [index, item] of value.entries()) {
      if (!run.tries(node, item)) continue;
      count++;
      seen?.items.add(index);
    }
    if (count < (min as number))
      return run.fault(at, `must have at least ${min} items that match the schema of contains`);
    if (count > (max as number))
      return run.fault(at, `must have at most ${max} items that match the schema of contains`);
    return true;
  };
};

function eachItem(
  value: readonly unknown[],
  start: number,
  at: Place | null,
  run: Evaluation,
  check: (item: unknown, place: Place, index: number) => boolean,
): boolean {
  let isValid = true;
  for (let index = start; index < value.length; index++) {
    run.budget.spend(1);
    isValid = check(value[index], { parent: at, step: index }, index) && isValid;
  }
  return isValid;
}

const reference: Keyword = (use) => {
  require(typeof use.value === 'string', use.pointer, 'must be a string');
  let target: SchemaNode | undefined;
  use.refer(use.value, use.pointer, (found) => {
    target = found;
    use.node.inPlace.push(found);
  });
  return (value, at, run, seen) => target!.evaluate(value, at, run, seen);
};

const definitions: Keyword = (use) => {
  byName(use, use.compile);
  return null;
};

/** The check of the schema `false`. */
export const NOTHING: Check = (_, at, run) => run.fault(at, NOT_ALLOWED);

/** The keywords that apply subschemas, in the order of their evaluation: the last two need all that was evaluated. */
export const APPLICATORS: Readonly<Record<string, Keyword>> = {
  $defs: definitions,
  $ref: reference,
  allOf,
  anyOf,
  oneOf,
  not,
  if: conditional,
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
  then: branchOfIf,
  else: branchOfIf,
  dependentSchemas,
  properties,
  patternProperties,
  additionalProperties,
  propertyNames,
  prefixItems,
  items,
  contains,
  unevaluatedItems,
  unevaluatedProperties,
};
