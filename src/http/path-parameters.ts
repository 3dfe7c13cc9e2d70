import { percentDecode } from './percent-decode.ts';

type Parameters = Record<string, string>;

/**
 * Reads the parameters of a path that matches the pattern, by their position: the router has matched it already.
 *
 * @example rawParameters('/v1/files/{id}/content', '/v1/files/7/content') // { id: '7' }
 */
export function rawParameters(pattern: string, path: string): Parameters {
  const values: Parameters = {};
  const segments = path.split('/');
  for (const { name, at } of positionsOf(pattern)) values[name] = segments[at]!;
  return values;
}

/** Decodes the parameters. Throws `invalid_request` for one that is not percent-encoded UTF-8. */
export function decodeParameters(values: Parameters): Parameters {
  for (const name in values) values[name] = percentDecode(values[name]!, `/path/${name}`);
  return values;
}

interface Position {
  readonly name: string;
  readonly at: number;
}

// One entry for each route.
const positions = new Map<string, readonly Position[]>();

function positionsOf(pattern: string): readonly Position[] {
  const known = positions.get(pattern);
  if (known !== undefined) return known;
  const found = pattern.split('/').flatMap((segment, at) => {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    return name === undefined ? [] : [{ name, at }];
  });
  positions.set(pattern, found);
  return found;
}
