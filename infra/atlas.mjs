#!/usr/bin/env node
// The command `atlas`: `npx atlas …` and `npm exec atlas -- …` find it in package.json, `bun x atlas …` finds the link
// that `link-bin.mjs` makes. It starts Atlas like the scripts of package.json.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.argv.splice(2, 0, join(dirname(dirname(fileURLToPath(import.meta.url))), 'src', 'main.ts'));
await import('./launch.mjs');
