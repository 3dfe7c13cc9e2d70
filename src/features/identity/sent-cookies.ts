// RFC 6265, section 5.2. Nothing else is a blank: `trim` would drop a byte that browsers count as part of the name, and
// with it any host of the domain could set a cookie whose name only seems to begin with `__Host-`.
const AROUND = /^[ \t]+|[ \t]+$/g;

/** Returns the values of the cookies with this name in a request, in the order in which they were sent. */
export function sentCookies(header: string | null, name: string): string[] {
  if (header === null) return [];
  const values: string[] = [];
  for (const cookie of header.split(';')) {
    const at = cookie.indexOf('=');
    if (at >= 0 && cookie.slice(0, at).replace(AROUND, '') === name)
      values.push(cookie.slice(at + 1).replace(AROUND, ''));
  }
  return values;
}
