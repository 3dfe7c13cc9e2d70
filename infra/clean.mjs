// Removes generated files that git ignores: `node infra/clean.mjs .atlas node_modules`. Runs on Node or Bun.
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (existsSync(join(root, '.atlas', 'postgres', '18', 'postmaster.pid'))) {
  process.stderr.write(
    'Nothing was removed.\n  why:  the embedded PostgreSQL is using this data\n  do:   stop Atlas first\n',
  );
  process.exit(1);
}
for (const path of process.argv.slice(2)) {
  rmSync(join(root, path), { recursive: true, force: true });
  process.stdout.write(`removed ${path}\n`);
}
