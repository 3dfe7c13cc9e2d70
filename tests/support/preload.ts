import { afterAll } from 'bun:test';
import { stopTestDatabases } from './database.ts';
import { stopTestServices } from './test-service.ts';

// Runs once, after the last file. A server with many databases takes longer to end than the 5 s of a hook.
afterAll(stopTestServices, 60_000);
afterAll(stopTestDatabases, 60_000);
