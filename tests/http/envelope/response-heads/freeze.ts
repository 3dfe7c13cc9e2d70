import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stopTestDatabases } from '../../../support/database.ts';
import { collectHeads } from './collect.ts';

// Records the heads of all responses. Run it after an intended change, and read the diff.
const heads = await collectHeads();
writeFileSync(join(import.meta.dir, 'heads.json'), `${JSON.stringify(heads, null, 2)}\n`);
await stopTestDatabases();
process.exit();
