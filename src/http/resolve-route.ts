import { RegExpRouter } from 'hono/router/reg-exp-router';
import { SmartRouter } from 'hono/router/smart-router';
import { TrieRouter } from 'hono/router/trie-router';
import { getPath } from 'hono/utils/url';
import type { MatchedRoute } from '../envelope/exchange.ts';
import { UNMATCHED } from '../utils/unmatched.ts';
import { JSON_BODY_LIMIT_BYTES, type RouteFacts } from './route.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'OTHER'] as const;

// Callers choose URLs, so these are bounded; other URLs are matched by their path.
const SEEN_MAX = 1000;
const SEEN_LENGTH_MAX = 128;

/** Finds the route of a request. */
export interface RouteMatcher {
  readonly resolve: (request: Request) => MatchedRoute;
  /** Whether this is what it returns, and no other matcher, for a request that no route matches. */
  readonly isUnmatched: (route: MatchedRoute) => boolean;
  /** Returns the methods that a path supports, for 405. Empty if the path is unknown. */
  readonly allowedMethods: (request: Request) => string[];
}

/** The routes of an app, compiled for matching. */
export interface ResolvedRoutes extends RouteMatcher {
  /** Every route, then one per method for unmatched requests. */
  readonly all: readonly MatchedRoute[];
  /** Returns a matcher to which the other routes do not exist. */
  readonly only: (serves: (route: RouteFacts) => boolean) => RouteMatcher;
}

/** Compiles the routes for use before routing. */
export function compileRoutes(facts: readonly RouteFacts[], timeoutMs: number): ResolvedRoutes {
  const matched = facts.map(
    ({ isPrivate: _, ...fact }, index): MatchedRoute => ({
      ...fact,
      index,
      timeoutMs: fact.timeoutMs ?? timeoutMs,
    }),
  );
  const unmatched = METHODS.map(
    (method, i): MatchedRoute => ({
      index: matched.length + i,
      method,
      pattern: UNMATCHED,
      // Browsers ask before every request of a page, the critical ones too.
      tier: method === 'OPTIONS' ? 'critical' : 'default',
      scope: null,
      sheddable: true,
      resource: null,
      timeoutMs,
      bodyLimitBytes: JSON_BODY_LIMIT_BYTES,
      streamsBody: false,
      compressible: false,
    }),
  );
  return {
    all: [...matched, ...unmatched],
    ...matcherOf(matched, unmatched),
    only: (serves) =>
      matcherOf(
        matched.filter((_, index) => serves(facts[index]!)),
        unmatched.map((route) => ({ ...route })),
      ),
  };
}

/**
 * Uses the routers and the path parsing of Hono, so that both match the same route. A path without parameters is looked
 * up in a map and never matches a template.
 */
function matcherOf(matched: readonly MatchedRoute[], unmatched: readonly MatchedRoute[]): RouteMatcher {
  // By path, then by method, because a joined key would have to be built for every request.
  const fixed = new Map<string, Map<string, MatchedRoute>>();
  const router = new SmartRouter<MatchedRoute>({ routers: [new RegExpRouter(), new TrieRouter()] });
  for (const route of matched) {
    router.add(route.method, route.pattern.replaceAll(/\{(\w+)\}/g, ':$1'), route);
    if (route.pattern.includes('{')) continue;
    fixed.set(route.pattern, (fixed.get(route.pattern) ?? new Map()).set(route.method, route));
  }
  const match = (method: string, path: string): MatchedRoute | undefined => {
    const methods = fixed.get(path);
    return methods === undefined ? router.match(method, path)[0][0]?.[0] : methods.get(method);
  };
  // Most requests have one of very few URLs, and looking one up costs less than cutting the path out of it.
  const seen = new Map<string, ReadonlyMap<string, MatchedRoute>>();
  const matchUrl = (method: string, request: Request): MatchedRoute | undefined => {
    const known = seen.get(request.url);
    if (known !== undefined) return known.get(method);
    const path = getPath(request);
    const methods = fixed.get(path);
    if (methods !== undefined && isWorthRemembering(request.url, path)) {
      // A caller that invents hosts must not keep the usual URLs out for good.
      if (seen.size >= SEEN_MAX) seen.clear();
      seen.set(request.url, methods);
    }
    return match(method, path);
  };

  return {
    resolve: (request) => {
      const method = request.method === 'HEAD' ? 'GET' : request.method;
      const found = matchUrl(method, request);
      if (found) return found;
      return unmatched.find((route) => route.method === request.method) ?? unmatched.at(-1)!;
    },
    isUnmatched: (route) => unmatched.includes(route),
    allowedMethods: (request) => {
      const path = getPath(request);
      const methods = METHODS.filter((method) => match(method, path) !== undefined);
      return methods.includes('GET') ? ['GET', 'HEAD', ...methods.slice(1)] : methods;
    },
  };
}

/** A URL with a query hardly ever repeats. */
function isWorthRemembering(url: string, path: string): boolean {
  return url.length <= SEEN_LENGTH_MAX && url.endsWith(path);
}
