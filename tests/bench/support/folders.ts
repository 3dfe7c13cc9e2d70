import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { undoAtEnd } from './clean-up.ts';

/** Creates a folder that is deleted at the end. Readable by others: under root, PostgreSQL runs as another user. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'atlas-bench-'));
  chmodSync(folder, 0o755);
  undoAtEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
