import type { FetchHandler, ToProblem } from '../envelope/exchange.ts';
import { AtlasError } from '../errors.ts';
import type { RouteMatcher } from './resolve-route.ts';

/** Returns the handler for unmatched requests: 405 with `Allow` if the path supports other methods, else 404. */
export function notFound({ allowedMethods }: RouteMatcher, toProblem: ToProblem): FetchHandler {
  return (request, exchange) => {
    const allow = allowedMethods(request).join(', ');
    if (allow === '') return toProblem(new AtlasError('not_found', 'No route matches this path.'), exchange);
    const headers = { Allow: allow };
    return toProblem(
      new AtlasError('method_not_allowed', `This path supports ${allow}.`, { headers }),
      exchange,
    );
  };
}
