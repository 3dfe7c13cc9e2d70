import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { createApp } from '../app.ts';
import { asyncApiDocument } from '../features/events/log/asyncapi.ts';
import { EVENT_CATALOGUE } from '../features.ts';
import { VERSION } from '../version.ts';
import { withDeps } from './session.ts';
import { envExample, settingsPage } from './settings-text.ts';

/** Paths of the generated files, relative to the root of the repository. */
export const GENERATED = {
  openApi: 'docs/api/openapi.json',
  asyncApi: 'docs/api/asyncapi.json',
  envExample: '.env.example',
  settings: 'docs/settings.md',
} as const;

export function addDocsCommand(program: Command): void {
  program
    .command('docs')
    .description('regenerate docs/api/*.json, docs/settings.md, and .env.example')
    .action(async () => {
      writeFileSync(GENERATED.envExample, envExample());
      writeFileSync(GENERATED.settings, settingsPage());
      const asyncApi = asyncApiDocument(VERSION, EVENT_CATALOGUE);
      writeFileSync(GENERATED.asyncApi, `${JSON.stringify(asyncApi, null, 2)}\n`);
      await withDeps(async (deps) => {
        const { openApi } = createApp(deps);
        writeFileSync(GENERATED.openApi, `${JSON.stringify(openApi(), null, 2)}\n`);
      });
      console.log(Object.values(GENERATED).join('\n'));
    });
}
