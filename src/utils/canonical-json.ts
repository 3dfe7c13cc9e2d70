/**
 * Returns the canonical text of a JSON value (RFC 8785): members sorted by UTF-16 code units, no white space. Equal
 * values have equal texts. The value must come from JSON, and be nested as little as a body may be.
 *
 * @example canonicalJson({ b: 1, a: [true] }); // '{"a":[true],"b":1}'
 */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.keys(value).sort();
  const texts = members.map(
    (name) => `${JSON.stringify(name)}:${canonicalJson((value as Record<string, unknown>)[name])}`,
  );
  return `{${texts.join(',')}}`;
}
