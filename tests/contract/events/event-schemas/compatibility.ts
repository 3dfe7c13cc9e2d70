/** The part of JSON Schema that the catalogue of events makes use of. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly propertyNames?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
}

const KNOWN = new Set([
  'type',
  'properties',
  'required',
  'additionalProperties',
  'propertyNames',
  'anyOf',
  'enum',
  'pattern',
  'format',
  'minimum',
  'maximum',
  'description',
]);

/**
 * What could surprise a reader who knows the released schema when events are written by the new one: everything that
 * the new one allows must be allowed by the released one. Members that are added surprise nobody.
 */
export function surprisesOf(released: Schema, written: Schema, at = 'data'): string[] {
  const choices = alternativesOf(released);
  return alternativesOf(written).flatMap((choice) => {
    const found = choices.map((known) => surprisesOfChoice(known, choice, at));
    if (found.some((surprises) => surprises.length === 0)) return [];
    const sameType = found[choices.findIndex(({ type }) => type === choice.type)];
    return sameType ?? [`${at} may be ${choice.type}`];
  });
}

/** A schema without `anyOf` and with one type each. Throws for what this comparison does not know. */
function alternativesOf(schema: Schema): Schema[] {
  const unknown = Object.keys(schema).filter((keyword) => !KNOWN.has(keyword));
  if (unknown.length > 0) throw new Error(`The comparison of schemas does not know ${unknown.join(', ')}.`);
  if (schema.anyOf) return schema.anyOf.flatMap(alternativesOf);
  if (Array.isArray(schema.type)) return schema.type.map((type) => ({ ...schema, type }));
  if (schema.type === undefined) throw new Error('The comparison of schemas needs a type everywhere.');
  return [schema];
}

function surprisesOfChoice(released: Schema, written: Schema, at: string): string[] {
  if (released.type !== written.type) return [`${at} may be ${written.type}`];
  const surprises: string[] = [];
  const values = released.enum;
  if (values && !written.enum?.every((value) => values.includes(value)))
    surprises.push(`${at} may have other values`);
  for (const keyword of ['pattern', 'format'] as const)
    if (released[keyword] !== undefined && released[keyword] !== written[keyword])
      surprises.push(`${at} has another ${keyword}`);
  if (released.minimum !== undefined && !(written.minimum! >= released.minimum))
    surprises.push(`${at} may be smaller`);
  if (released.maximum !== undefined && !(written.maximum! <= released.maximum))
    surprises.push(`${at} may be larger`);
  return [...surprises, ...surprisesOfMembers(released, written, at)];
}

function surprisesOfMembers(released: Schema, written: Schema, at: string): string[] {
  const surprises = Object.entries(released.properties ?? {}).flatMap(([name, member]) => {
    const there = written.properties?.[name];
    if (there === undefined) return [`${at}.${name} is gone`];
    const isNeeded = released.required?.includes(name) && !written.required?.includes(name);
    return [
      ...(isNeeded ? [`${at}.${name} may be missing`] : []),
      ...surprisesOf(member, there, `${at}.${name}`),
    ];
  });
  if (released.additionalProperties === undefined) return surprises;
  if (written.additionalProperties === undefined) return [...surprises, `${at} may have other members`];
  return [
    ...surprises,
    ...surprisesOf(released.additionalProperties, written.additionalProperties, `${at}.*`),
  ];
}

/** A schema without what is there for people. */
export function withoutDescriptions(schema: unknown): unknown {
  return JSON.parse(
    JSON.stringify(schema, (_, value) => {
      if (typeof value !== 'object' || value === null || !('description' in value)) return value;
      const { description, ...rest } = value;
      // A member can have the name too; then it is a schema.
      return typeof description === 'string' ? rest : value;
    }),
  );
}
