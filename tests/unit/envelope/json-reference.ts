/** A fault in JSON, by pointer. */
export interface ReferenceFault {
  readonly kind: 'repeated' | 'crowded' | 'inexact' | 'large';
  readonly pointer: string;
}

/** What a plain parser finds in valid JSON. */
export interface Reference {
  readonly depth: number;
  readonly faults: readonly ReferenceFault[];
}

/** Parses JSON by the grammar, one token after the other, with exact arithmetic. Throws if it is not valid. */
export function readReference(text: string, membersMax: number): Reference {
  const tokens = tokensOf(text);
  const faults: ReferenceFault[] = [];
  let deepest = 0;
  let next = 0;
  const take = (expected?: string) => {
    const token = tokens[next++];
    if (token === undefined || (expected !== undefined && token !== expected)) throw new Error('not JSON');
    return token;
  };

  function members(pointer: string, depth: number): void {
    const names = new Set<string>();
    if (tokens[next] === '}') return void next++;
    do {
      const name = JSON.parse(take()) as unknown;
      if (typeof name !== 'string') throw new Error('not JSON');
      const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (names.size === membersMax) faults.push({ kind: 'crowded', pointer: at });
      else if (names.has(name)) faults.push({ kind: 'repeated', pointer: at });
      names.add(name);
      take(':');
      value(at, depth);
    } while (take() === ',');
    if (tokens[next - 1] !== '}') throw new Error('not JSON');
  }

  function items(pointer: string, depth: number): void {
    let i = 0;
    if (tokens[next] === ']') return void next++;
    do value(`${pointer}/${i++}`, depth);
    while (take() === ',');
    if (tokens[next - 1] !== ']') throw new Error('not JSON');
  }

  function value(pointer: string, depth: number): void {
    const token = take();
    deepest = Math.max(deepest, depth);
    if (token === '{' || token === '[') {
      deepest = Math.max(deepest, depth + 1);
      if (token === '{') members(pointer, depth + 1);
      else items(pointer, depth + 1);
    } else if (typeof JSON.parse(token) === 'number') {
      const kind = faultOf(token);
      if (kind !== null) faults.push({ kind, pointer });
    }
  }

  value('', 0);
  if (next !== tokens.length) throw new Error('not JSON');
  return { depth: deepest, faults };
}

function tokensOf(text: string): string[] {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[-+.\w]+|[[\]{}:,]|\S/g) ?? [];
  return [...tokens];
}

/** Compares a number with its double as fractions of integers. */
function faultOf(token: string): 'inexact' | 'large' | null {
  const value = Number(token);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return 'large';
  if (!Number.isInteger(value)) return null;
  const [mantissa = '', exponent = '0'] = token.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const power = BigInt(exponent.replace('+', '')) - BigInt(fraction.length);
  const digits = BigInt(whole.replace('-', '') + fraction);
  const sign = token.startsWith('-') ? -1n : 1n;
  const [over, under] =
    power >= 0n ? [digits * 10n ** power, BigInt(value)] : [digits, BigInt(value) * 10n ** -power];
  return sign * over === under ? null : 'inexact';
}
