import { z } from '@hono/zod-openapi';
import { linkNext } from '../../../http/cursor.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { toListed, writeCursor } from './domain.ts';
import {
  EventIdSchema,
  EventPageSchema,
  EventSchema,
  eventQuerySchema,
  StreamHeadersSchema,
  StreamQuerySchema,
} from './schemas.ts';
import type { EventService } from './service.ts';

const NEXT = { Link: { description: 'The next page, `rel="next"`', schema: { type: 'string' } } };
const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  // Proxies such as nginx would hold the events back until they have enough.
  'X-Accel-Buffering': 'no',
};

/** `/v1/events`: listed, one by one, and followed. */
export function mountEvents(
  routes: RouteTable,
  events: EventService,
  types: readonly [string, ...string[]],
): void {
  const read = {
    method: 'get',
    tag: 'Events',
    tier: 'default',
    resource: 'database',
    scope: 'events:read',
    refusals: [404],
  } as const;

  routes.mount(
    {
      ...read,
      path: '/v1/events',
      operationId: 'listEvents',
      summary: 'List events, oldest first',
      description:
        'Those of the owner of the key. `resumeCursor` is always there: sent as `cursor` later, it answers what has come since. A page can hold fewer than `limit`, or none, while `nextCursor` leads on.',
      query: eventQuerySchema(types),
      compressible: true,
      responses: { 200: jsonOf('A page of events', EventPageSchema, NEXT) },
    },
    async ({ c, exchange, query }) => {
      const { cursor = 0, limit, ...filter } = query;
      const { owner } = exchange.principal!;
      const page = await events.list(owner, filter, cursor, limit, exchange.signal);
      const resumeCursor = writeCursor(page.resume);
      const nextCursor = page.hasMore ? resumeCursor : null;
      linkNext(c, nextCursor);
      return c.json({ events: page.events.map(toListed), nextCursor, resumeCursor }, 200);
    },
  );

  // Before the events with an id: Hono takes the first route that fits.
  routes.mount(
    {
      ...read,
      path: '/v1/events/stream',
      operationId: 'streamEvents',
      summary: 'Follow events as they come',
      description:
        'Server-sent events: `event` is the type, `data` the CloudEvent, `id` where to go on after. The server ends a stream from time to time; come back with Last-Event-ID, and nothing is missed. Comments come while there is nothing to tell.',
      query: StreamQuerySchema,
      headers: StreamHeadersSchema,
      responses: {
        200: { description: 'The stream', content: { 'text/event-stream': { schema: z.string() } } },
      },
    },
    async ({ c, exchange, query, headers }) => {
      // Hono throws the body of an answer to HEAD away, and a stream that nobody reads would stay open.
      if (c.req.raw.method === 'HEAD') return c.body(null, 200, STREAM_HEADERS);
      const start = headers['Last-Event-ID'] ?? query.after ?? (query.from === 'beginning' ? 0 : 'now');
      const stream = await events.follow(exchange.principal!, start, exchange.signal);
      return c.body(stream, 200, STREAM_HEADERS);
    },
  );

  routes.mount(
    {
      ...read,
      path: '/v1/events/{id}',
      operationId: 'getEvent',
      summary: 'Read an event',
      params: z.object({ id: EventIdSchema }),
      responses: { 200: jsonOf('The event', EventSchema) },
    },
    async ({ c, exchange, params }) => {
      const event = await events.find(exchange.principal!.owner, params.id, exchange.signal);
      return c.json(toListed(event), 200);
    },
  );
}
