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
      description: 'Its circuit breaker; while it is open, nobody is let through to it',
    }),
    error: z.string().optional(),
  })
  .openapi('DependencyHealth');
const LimitsSchema = z
  .strictObject({
    mode: z.enum(['static', 'joining', 'learning', 'fresh', 'stale', 'floor']).openapi({
      description: 'Where the limit of this worker comes from; `static` is a fixed share, without Redis',
    }),
    cap: z.int().openapi({ description: 'Requests in flight that the whole cluster may have' }),
    limit: z.int().openapi({ description: 'How many of them this worker may have now' }),
    workers: z.int().openapi({ description: 'Workers that share the cap' }),
  })
  .openapi('LoadShedding');
// Not an extension: `allOf` of two schemas that each refuse unknown members refuses everything.
const DeepHealthSchema = z
  .strictObject({ ...ABOUT, dependencies: z.array(DependencySchema), loadShedding: LimitsSchema })
  .openapi('DeepHealthResponse');
const ReadinessSchema = z
  .strictObject({ ready: z.boolean(), reasons: z.array(z.string()) })
  .openapi('ReadinessResponse');
const LivenessSchema = z.strictObject({ alive: z.literal(true) }).openapi('LivenessResponse');

/** What the process is. */
export interface About {
  readonly version: string;
  readonly environment: string;
}

/** `/health` and its kin. They need no key and are never shed. `limits` answers how load shedding stands. */
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
      summary: 'Whether the process answers; touches no dependency',
      responses: { 200: jsonOf('It answers', HealthSchema) },
    },
    ({ c }) => c.json(self('healthy'), 200),
  );

  routes.mount(
    {
      ...open,
      path: '/health/deep',
      operationId: 'getDeepHealth',
      summary: 'Every dependency with its status, latency and circuit breaker',
      responses: {
        200: jsonOf('Healthy or degraded', DeepHealthSchema),
        503: jsonOf('A required dependency does not answer', DeepHealthSchema),
      },
    },
    async ({ c }) => {
      const { status, dependencies } = await health.deep();
      const { mode, cap, limit, workers } = limits();
      const loadShedding = { mode, cap, limit, workers };
      return c.json({ ...self(status), dependencies, loadShedding }, status === 'unhealthy' ? 503 : 200);
    },
  );

  routes.mount(
    {
      ...open,
      path: '/health/ready',
      operationId: 'getReadiness',
      summary: 'Whether to send requests here: migrated, PostgreSQL up, not draining',
      responses: { 200: jsonOf('Ready', ReadinessSchema), 503: jsonOf('Not ready', ReadinessSchema) },
    },
    async ({ c }) => {
      const readiness = await health.ready();
      return c.json(readiness, readiness.ready ? 200 : 503);
    },
  );

  routes.mount(
    {
      ...open,
      path: '/health/live',
      operationId: 'getLiveness',
      summary: 'Whether the process lives; restart it when this fails',
      responses: { 200: jsonOf('It lives', LivenessSchema) },
    },
    ({ c }) => c.json({ alive: true }, 200),
  );
}
