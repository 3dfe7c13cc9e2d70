import { afterAll } from 'bun:test';
import { stopTestServers } from './database.ts';

// Runs once, after the last file: whatever the tests started ends with them.
afterAll(stopTestServers);
