import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text of the script that keeps the account in Redis. */
export const LEASE_ACCOUNT_SCRIPT = readFileSync(join(import.meta.dir, 'lease-account.lua'), 'utf8');
