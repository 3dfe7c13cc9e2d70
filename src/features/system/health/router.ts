import { z } from '@hono/zod-openapi';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { TimestampSchema } from '../../../http/schemas.ts';
import type { HealthService } from './service.ts';

const StatusSchema = z.enum(['healthy', 'degraded', 'unhealthy']);
const ABOUT = {
  status: StatusSchema,
  version: z.string(),
  environment: z.string(),
  uptimeSeconds: z.number(),
  timestamp: TimestampSchema,
};
const HealthSchema = z.strictObject(ABOUT).openapi('HealthResponse');
const DependencySchema = z
  .strictObject({
    name: z.string(),
    mode: z.enum(['embedded', 'connected']),
    status: StatusSchema,
    latencyMs: z.number(),
    breaker: z.enum(['closed', 'open', 'half-open']).optional().openapi({
      description: 'State of the circuit breaker. An open breaker rejects all calls.',
    }),
    error: z.string().optional(),
  })
  .openapi('DependencyHealth');
const LimitsSchema = z
  .strictObject({
    mode: z.enum(['static', 'joining', 'learning', 'fresh', 'stale', 'floor']).openapi({
      description: 'Source of the limit of this worker; `static` is a fixed share, without Redis.',
    }),
    cap: z.int().openapi({ description: 'Maximum requests in flight in the whole cluster.' }),
    limit: z.int().openapi({ description: 'Current maximum requests in flight in this worker.' }),
    workers: z.int().openapi({ description: 'Workers that share the cap.' }),
  })
  .openapi('LoadShedding');
// Not an extension: `allOf` of two schemas that each reject unknown members rejects everything.
const DeepHealthSchema = z
  .strictObject({ ...ABOUT, dependencies: z.array(DependencySchema), loadShedding: LimitsSchema })
  .openapi('DeepHealthResponse');
const ReadinessSchema = z
  .strictObject({ ready: z.boolean(), reasons: z.array(z.string()) })
  .openapi('ReadinessResponse');
const LivenessSchema = z.strictObject({ alive: z.literal(true) }).openapi('LivenessResponse');

/** Version and environment of the process. */
export interface About {
  readonly version: string;
  readonly environment: string;
}

/** Mounts `/health` and below: no key required, never shed. `limits` returns the current limits of load shedding. */
export function mountHealth(
  routes: RouteTable,
  health: HealthService,
  about: About,
  limits: () => z.infer<typeof LimitsSchema>,
): void {
  const open = { method: 'get', tag: 'Health', tier: 'critical', scope: null, sheddable: false } as const;
  const self = (status: z.infer<typeof StatusSchema>) => ({
    status,
    ...about,
    uptimeSeconds: Math.round(performance.now()) / 1000,
    timestamp: new Date().toISOString(),
  });

  routes.mount(
    {
      ...open,
      path: '/health',
      operationId: 'getHealth',
      summary: 'Check that the process responds, ignoring its dependencies',
      responses: { 200: jsonOf('The process is healthy', HealthSchema) },
    },
    ({ exchange }) => exchange.json(self('healthy'), 200),
  );

  routes.mount(
    {
      ...open,
      path: '/health/deep',
      operationId: 'getDeepHealth',
      summary: 'Check every dependency',
      description: 'With the setting `ADMIN_PORT`, served on that port only.',
      isPrivate: true,
      responses: {
        200: jsonOf('Healthy or degraded, with the status of each dependency', DeepHealthSchema),
        503: jsonOf('Unhealthy: a required dependency is not responding', DeepHealthSchema),
      },
    },
    async ({ exchange }) => {
      const { status, dependencies } = await health.deep();
      const { mode, cap, limit, workers } = limits();
      const loadShedding = { mode, cap, limit, workers };
      const deep = { ...self(status), dependencies, loadShedding };
      return exchange.json(deep, status === 'unhealthy' ? 503 : 200);
    },
  );

  routes.mount(
    {
      ...open,
      path: '/health/ready',
      operationId: 'getReadiness',
      summary: 'Check whether to route requests to this process',
      description:
        'Ready means that PostgreSQL responds, its migrations are applied, what requests read can be read, and the process is not draining.',
      responses: { 200: jsonOf('Ready', ReadinessSchema), 503: jsonOf('Not ready', ReadinessSchema) },
    },
    async ({ exchange }) => {
      const readiness = await health.ready();
      return exchange.json(readiness, readiness.ready ? 200 : 503);
    },
  );

  routes.mount(
    {
      ...open,
      path: '/health/live',
      operationId: 'getLiveness',
      summary: 'Check that the process is alive',
      responses: { 200: jsonOf('The process is alive', LivenessSchema) },
    },
    ({ exchange }) => exchange.json({ alive: true }, 200),
  );
}
