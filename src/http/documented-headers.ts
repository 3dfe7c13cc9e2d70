import type { RouteConfig } from '@hono/zod-openapi';
import { z } from '@hono/zod-openapi';

/** What the contract documents: methods, and names of header fields. */
export interface DocumentedHeaders {
  readonly methods: readonly string[];
  readonly request: readonly string[];
  readonly response: readonly string[];
}

// Any route reads and sets these, so no operation repeats them. They are in docs/api/reliability-endpoints.md.
const REQUEST = [
  'Authorization',
  'Content-Type',
  'Grpc-Timeout',
  'Priority',
  'Traceparent',
  'X-Envoy-Expected-RQ-Timeout-Ms',
  'X-Request-ID',
];
const RESPONSE = ['Allow', 'X-Request-ID'];

/** Returns the headers that the operations document, and those of any route, sorted by name. */
export function documentedHeaders(operations: readonly RouteConfig[]): DocumentedHeaders {
  const request = operations.flatMap(({ request: { headers } = {} }) =>
    headers instanceof z.ZodObject ? Object.keys(headers.shape) : [],
  );
  const response = operations.flatMap(({ responses }) =>
    Object.values(responses).flatMap((one) => Object.keys('headers' in one ? one.headers! : {})),
  );
  return {
    methods: sorted(operations.map(({ method }) => method.toUpperCase())),
    request: sorted([...REQUEST, ...request]),
    response: sorted([...RESPONSE, ...response]),
  };
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
