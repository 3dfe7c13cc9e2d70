import type { ToProblem } from '../envelope/exchange.ts';
import { AtlasError } from '../errors.ts';
import type { AtlasContext } from './input.ts';
import type { ResolvedRoutes } from './resolve-route.ts';

/** Returns the handler for unmatched requests: 405 with `Allow` if the path supports other methods, else 404. */
export function notFound(resolved: ResolvedRoutes, toProblem: ToProblem): (c: AtlasContext) => Response {
  return (c) => {
    const allow = resolved.allowedMethods(c.req.raw).join(', ');
    if (allow === '') return toProblem(new AtlasError('not_found', 'No route matches this path.'), c.env);
    const headers = { Allow: allow };
    return toProblem(
      new AtlasError('method_not_allowed', `This path supports ${allow}.`, { headers }),
      c.env,
    );
  };
}
