import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Source of the Redis script that maintains the account. */
export const LEASE_ACCOUNT_SCRIPT = readFileSync(join(import.meta.dir, 'lease-account.lua'), 'utf8');
