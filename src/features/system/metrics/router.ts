import { z } from '@hono/zod-openapi';
import type { Registry } from 'prom-client';
import type { RouteTable } from '../../../http/route.ts';

/** Mounts `GET /metrics` in the Prometheus text format: of the whole cluster if `scrapeCluster` is not null. */
export function mountMetrics(
  routes: RouteTable,
  registry: Registry,
  scrapeCluster: (() => Promise<string>) | null,
): void {
  const scrape = scrapeCluster ?? (() => registry.metrics());
  routes.mount(
    {
      method: 'get',
      path: '/metrics',
      operationId: 'getMetrics',
      summary: 'Get all metrics for Prometheus',
      description: 'With the setting `ADMIN_PORT`, served on that port only.',
      tag: 'Health',
      tier: 'critical',
      scope: null,
      sheddable: false,
      isPrivate: true,
      compressible: true,
      responses: {
        200: {
          description: 'Metrics in the Prometheus text format',
          content: { 'text/plain': { schema: z.string() } },
        },
      },
    },
    async ({ c }) => c.body(await scrape(), 200, { 'Content-Type': registry.contentType }),
  );
}
