import { z } from '@hono/zod-openapi';
import { jsonOf, type RouteTable } from '../../../http/route.ts';

const PingSchema = z.strictObject({ pong: z.literal(true) }).openapi('Ping');

/** Mounts `GET /v1/ping`, which passes every layer that a payment passes and does no I/O. */
export function mountPing(routes: RouteTable): void {
  routes.mount(
    {
      method: 'get',
      path: '/v1/ping',
      operationId: 'ping',
      summary: 'Check the connection and the API key',
      tag: 'Health',
      tier: 'default',
      scope: 'ping:read',
      responses: { 200: jsonOf('The key is valid', PingSchema) },
    },
    ({ exchange }) => exchange.json({ pong: true }, 200),
  );
}
