import { expect, test } from 'bun:test';
import { z } from '@hono/zod-openapi';
import { documentedHeaders } from '../../../src/http/documented-headers.ts';

const operation = {
  method: 'get' as const,
  path: '/things',
  request: { headers: z.object({ 'If-Match': z.string(), Authorization: z.string() }) },
  responses: {
    200: { description: 'OK', headers: { ETag: {}, 'X-Thing': { schema: { type: 'string' as const } } } },
    204: { description: 'None' },
  },
};

test('headers of requests and responses are those of the operations and of any route, once each', () => {
  const { methods, request, response } = documentedHeaders([
    operation,
    operation,
    { ...operation, request: {} },
  ]);
  expect(methods).toEqual(['GET']);
  expect(request).toContain('If-Match');
  expect(request.filter((name) => name === 'Authorization')).toHaveLength(1);
  expect(request).toEqual(request.toSorted());
  expect(response).toEqual(['Allow', 'ETag', 'X-Request-ID', 'X-Thing']);
});
