import { z } from '@hono/zod-openapi';
import type { Registry } from 'prom-client';
import type { RouteTable } from '../../http/route.ts';

/** `GET /metrics`, in the text format of Prometheus. */
export function mountMetrics(routes: RouteTable, registry: Registry): void {
  routes.mount(
    {
      method: 'get',
      path: '/metrics',
      operationId: 'getMetrics',
      summary: 'All metrics for Prometheus',
      tag: 'Health',
      tier: 'critical',
      scope: null,
      sheddable: false,
      compressible: true,
      responses: {
        200: { description: 'Metrics in text', content: { 'text/plain': { schema: z.string() } } },
      },
    },
    async ({ c }) => c.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType }),
  );
}
