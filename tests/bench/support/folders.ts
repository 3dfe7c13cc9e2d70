import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { undoAtEnd } from './clean-up.ts';

/** An empty folder that is deleted at the end. Others may enter it: PostgreSQL runs as a user of its own under root. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-bench-'));
  chmodSync(folder, 0o755);
  undoAtEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
