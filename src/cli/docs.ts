import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { createApp } from '../app.ts';
import { loadConfig } from '../config.ts';
import { openDeps } from '../deps.ts';
import { asyncApiDocument } from '../features/events/log/asyncapi.ts';
import { EVENT_CATALOGUE } from '../features.ts';
import { createLogger } from '../instrumentation/logger.ts';
import { VERSION } from '../version.ts';
import { envExample, settingsPage } from './settings-text.ts';

/** Paths of the generated files, relative to the root of the repository. */
export const GENERATED = {
  openApi: 'docs/api/openapi.json',
  asyncApi: 'docs/api/asyncapi.json',
  envExample: '.env.example',
  settings: 'docs/settings.md',
} as const;

// The document needs no database, and a database connects on first use.
const NEVER_CONNECTED = 'postgres://127.0.0.1:1/none';

export function addDocsCommand(program: Command): void {
  program
    .command('docs')
    .description('regenerate docs/api/*.json, docs/settings.md, and .env.example')
    .action(async () => {
      writeFileSync(GENERATED.envExample, envExample());
      writeFileSync(GENERATED.settings, settingsPage());
      const asyncApi = asyncApiDocument(VERSION, EVENT_CATALOGUE);
      writeFileSync(GENERATED.asyncApi, `${JSON.stringify(asyncApi, null, 2)}\n`);
      const { config } = loadConfig();
      const deps = await openDeps({ ...config, DATABASE_URL: NEVER_CONNECTED }, createLogger(config));
      writeFileSync(GENERATED.openApi, `${JSON.stringify(createApp(deps).openApi(), null, 2)}\n`);
      await deps.close();
      console.log(Object.values(GENERATED).join('\n'));
    });
}
