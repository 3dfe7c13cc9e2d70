import { afterAll } from 'bun:test';
import { stopTestServers } from './database.ts';
import { stopTestKafka } from './kafka.ts';
import { stopTestPostgres } from './postgres.ts';
import { stopTestRedis } from './redis.ts';
import { stopTestS3 } from './s3.ts';
import { stopToxiproxies } from './toxiproxy.ts';

// Runs once, after the last file: whatever the tests started ends with them.
afterAll(stopToxiproxies);
afterAll(stopTestRedis);
afterAll(stopTestKafka, 60_000);
afterAll(stopTestS3);
afterAll(stopTestPostgres);
// A server that made many databases writes them all out before it ends, so it may take longer than the 5 s of a hook.
afterAll(stopTestServers, 60_000);
