import { prometheus } from '@hono/prometheus';
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { requestId } from 'hono/request-id';
import { timeout } from 'hono/timeout';
import { listen } from './listen.ts';
import { pingApp } from './ping-app.ts';

const TIMEOUT_MS = 30_000;
const IN_FLIGHT_MAX = 1000;

// Off-the-shelf middleware that does what the first five layers of Atlas do.
const { registerMetrics } = prometheus();
let inFlight = 0;
const app = new Hono()
  .use(requestId())
  .use(timeout(TIMEOUT_MS))
  .use('*', registerMetrics)
  .use(cors({ origin: ['https://app.example.com'], allowHeaders: ['Authorization', 'Content-Type'] }))
  .use(async (c, next) => {
    if (inFlight >= IN_FLIGHT_MAX) return c.text('Too many requests', 429);
    inFlight++;
    try {
      await next();
    } finally {
      inFlight--;
    }
  })
  .route('/', pingApp());
listen((request) => app.fetch(request));
