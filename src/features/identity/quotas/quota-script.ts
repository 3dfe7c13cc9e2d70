import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Source of the Redis script that keeps the accounts of the quotas. */
export const QUOTA_ACCOUNT_SCRIPT = readFileSync(join(import.meta.dir, 'quota-account.lua'), 'utf8');
