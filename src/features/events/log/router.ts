import { z } from '@hono/zod-openapi';
import { linkNext, NEXT } from '../../../http/cursor.ts';
import { refuseBody } from '../../../http/refuse-body.ts';
import { jsonOf, type RouteTable } from '../../../http/route.ts';
import { toResource, writeCursor } from './domain.ts';
import {
  EventIdSchema,
  EventPageSchema,
  EventSchema,
  eventQuerySchema,
  StreamHeadersSchema,
  StreamQuerySchema,
} from './schemas.ts';
import type { EventService } from './service.ts';

const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  // Prevents proxies such as nginx from buffering events.
  'X-Accel-Buffering': 'no',
};

/** `/v1/events`: list, get and stream events. */
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
    refusals: ['event_not_found', 'events_expired'],
  } as const;

  routes.mount(
    {
      ...read,
      path: '/v1/events',
      operationId: 'listEvents',
      summary: 'List events, oldest first',
      description:
        'Returns events of the owner of the API key, from the oldest that is stored. `resumeCursor` is always present: send it as `cursor` later to get newer events. A page can hold fewer events than `limit`, or none, and still have a `nextCursor`: large events end it at about 1 MiB, and a search ends after 5,000 events.',
      query: eventQuerySchema(types),
      compressible: true,
      responses: { 200: jsonOf('A page of events', EventPageSchema, NEXT) },
    },
    async ({ request, exchange, query }) => {
      const { cursor = null, limit, ...filter } = query;
      const { owner } = exchange.principal!;
      const page = await events.list(owner, filter, cursor, limit, exchange.signal);
      const resumeCursor = writeCursor(page.resume);
      const nextCursor = page.hasMore ? resumeCursor : null;
      const list = { events: page.events.map(toResource), nextCursor, resumeCursor };
      return exchange.json(list, 200, linkNext(request.url, nextCursor));
    },
  );

  // Before the route with an id: Hono uses the first route that matches.
  routes.mount(
    {
      ...read,
      path: '/v1/events/stream',
      operationId: 'streamEvents',
      summary: 'Stream events as they happen',
      description:
        'Server-sent events: `event` is the type, `data` the CloudEvent, and `id` the cursor to resume from. The server ends streams from time to time; reconnect with Last-Event-ID and no event is missed. Idle streams send comments as heartbeats. Read it with a client that shows what has arrived, such as `curl -N`.',
      query: StreamQuerySchema,
      headers: StreamHeadersSchema,
      refusals: ['event_not_found', 'events_expired', 'too_many_streams'],
      responses: {
        200: { description: 'The event stream', content: { 'text/event-stream': { schema: z.string() } } },
      },
    },
    async ({ c, exchange, query, headers }) => {
      refuseBody(c.req.raw);
      // A stream without a reader would stay open, and without this field the head would claim a length of 0.
      if (c.req.raw.method === 'HEAD')
        return c.body(null, 200, { ...STREAM_HEADERS, 'Transfer-Encoding': 'chunked' });
      const start = headers['Last-Event-ID'] ?? query.after ?? query.from ?? 'now';
      const stream = await events.follow(exchange.principal!, start, exchange.signal);
      return c.body(stream, 200, STREAM_HEADERS);
    },
  );

  routes.mount(
    {
      ...read,
      path: '/v1/events/{id}',
      operationId: 'getEvent',
      refusals: ['event_not_found'],
      summary: 'Get an event',
      params: z.object({ id: EventIdSchema }),
      responses: { 200: jsonOf('The event', EventSchema) },
    },
    async ({ exchange, params }) => {
      const event = await events.find(exchange.principal!.owner, params.id, exchange.signal);
      return exchange.json(toResource(event), 200);
    },
  );
}
