/** The subset of JSON Schema that the event catalogue uses. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
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
  'items',
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
 * Returns the ways in which events of the new schema would break a consumer of the released one: everything that the new
 * one allows must be allowed by the released one. Added members break nothing.
 */
export function incompatibilitiesOf(released: Schema, written: Schema, at = 'data'): string[] {
  const choices = alternativesOf(released);
  return alternativesOf(written).flatMap((choice) => {
    const found = choices.map((known) => incompatibilitiesOfChoice(known, choice, at));
    if (found.some((incompatibilities) => incompatibilities.length === 0)) return [];
    const sameType = found[choices.findIndex(({ type }) => type === choice.type)];
    return sameType ?? [`${at} may be ${choice.type}`];
  });
}

/** Returns alternatives without `anyOf`, each with a single type. Throws on unsupported keywords. */
function alternativesOf(schema: Schema): Schema[] {
  const unknown = Object.keys(schema).filter((keyword) => !KNOWN.has(keyword));
  if (unknown.length > 0) throw new Error(`Unsupported schema keywords: ${unknown.join(', ')}.`);
  if (schema.anyOf) return schema.anyOf.flatMap(alternativesOf);
  if (Array.isArray(schema.type)) return schema.type.map((type) => ({ ...schema, type }));
  if (schema.type === undefined) throw new Error('Every schema needs a type.');
  return [schema];
}

function incompatibilitiesOfChoice(released: Schema, written: Schema, at: string): string[] {
  if (released.type !== written.type) return [`${at} may be ${written.type}`];
  const incompatibilities: string[] = [];
  const values = released.enum;
  if (values && !written.enum?.every((value) => values.includes(value)))
    incompatibilities.push(`${at} may have other values`);
  for (const keyword of ['pattern', 'format'] as const)
    if (released[keyword] !== undefined && released[keyword] !== written[keyword])
      incompatibilities.push(`${at} has another ${keyword}`);
  if (released.minimum !== undefined && !(written.minimum! >= released.minimum))
    incompatibilities.push(`${at} may be smaller`);
  if (released.maximum !== undefined && !(written.maximum! <= released.maximum))
    incompatibilities.push(`${at} may be larger`);
  if (released.items)
    incompatibilities.push(...incompatibilitiesOf(released.items, written.items!, `${at}.*`));
  return [...incompatibilities, ...incompatibilitiesOfMembers(released, written, at)];
}

function incompatibilitiesOfMembers(released: Schema, written: Schema, at: string): string[] {
  const incompatibilities = Object.entries(released.properties ?? {}).flatMap(([name, member]) => {
    const there = written.properties?.[name];
    if (there === undefined) return [`${at}.${name} is gone`];
    const isNeeded = released.required?.includes(name) && !written.required?.includes(name);
    return [
      ...(isNeeded ? [`${at}.${name} may be missing`] : []),
      ...incompatibilitiesOf(member, there, `${at}.${name}`),
    ];
  });
  if (released.additionalProperties === undefined) return incompatibilities;
  if (written.additionalProperties === undefined)
    return [...incompatibilities, `${at} may have other members`];
  return [
    ...incompatibilities,
    ...incompatibilitiesOf(released.additionalProperties, written.additionalProperties, `${at}.*`),
  ];
}

/** Returns the schema without descriptions. */
export function withoutDescriptions(schema: unknown): unknown {
  return JSON.parse(
    JSON.stringify(schema, (_, value) => {
      if (typeof value !== 'object' || value === null || !('description' in value)) return value;
      const { description, ...rest } = value;
      // A member can have the same name; then it is a schema.
      return typeof description === 'string' ? rest : value;
    }),
  );
}
