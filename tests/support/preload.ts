import { afterAll } from 'bun:test';
import { stopTestServers } from './database.ts';
import { stopTestRedis } from './redis.ts';
import { stopToxiproxies } from './toxiproxy.ts';

// Runs once, after the last file: whatever the tests started ends with them.
afterAll(stopToxiproxies);
afterAll(stopTestRedis);
// A server that made many databases writes them all out before it ends, so it may take longer than the 5 s of a hook.
afterAll(stopTestServers, 60_000);
