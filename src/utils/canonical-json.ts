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

/**
 * Returns how many more digits the numbers of a JSON value have without exponents, as PostgreSQL writes those in `jsonb`:
 * 1e-300 has 302 characters there.
 */
export function digitsOfExponents(value: unknown): number {
  if (typeof value === 'number') return Math.abs(Number(String(value).split('e')[1] ?? 0));
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((digits: number, member) => digits + digitsOfExponents(member), 0);
}
