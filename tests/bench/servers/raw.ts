import { listen } from './listen.ts';

// The baseline: Bun without a router.
listen(() => Response.json({ pong: true }));
