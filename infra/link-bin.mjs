// Run after an install: links the command `atlas` where `bun x` looks for it. Package managers link the commands of
// dependencies only, and without the link `bun x atlas` would download a package of the same name.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = join(dirname(dirname(fileURLToPath(import.meta.url))), 'node_modules', '.bin');
mkdirSync(bin, { recursive: true });
if (process.platform === 'win32') {
  writeFileSync(join(bin, 'atlas.cmd'), '@node "%~dp0\\..\\..\\infra\\atlas.mjs" %*\r\n');
} else {
  const link = join(bin, 'atlas');
  rmSync(link, { force: true });
  symlinkSync(join('..', '..', 'infra', 'atlas.mjs'), link);
}
