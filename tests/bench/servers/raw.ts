import { listen } from './listen.ts';

// The floor: what Bun itself can answer, with no router at all.
listen(() => Response.json({ pong: true }));
