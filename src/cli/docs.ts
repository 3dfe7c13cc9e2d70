import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { createApp } from '../app.ts';
import { asyncApiDocument } from '../features/events/log/asyncapi.ts';
import { openApiDocument } from '../http/openapi-document.ts';
import { VERSION } from '../version.ts';
import { withDeps } from './session.ts';
import { envExample, replaceSettingsTable } from './settings-text.ts';

/** Where the generated texts live, in the repository. */
export const GENERATED = {
  openApi: 'docs/api/openapi.json',
  asyncApi: 'docs/api/asyncapi.json',
  envExample: '.env.example',
  readme: 'README.md',
} as const;

export function addDocsCommand(program: Command): void {
  program
    .command('docs')
    .description('write the documents of docs/api, .env.example and the settings of the README anew')
    .action(async () => {
      writeFileSync(GENERATED.envExample, envExample());
      writeFileSync(GENERATED.readme, replaceSettingsTable(readFileSync(GENERATED.readme, 'utf8')));
      const asyncApi = asyncApiDocument(VERSION);
      writeFileSync(GENERATED.asyncApi, `${JSON.stringify(asyncApi, null, 2)}\n`);
      await withDeps(async (deps) => {
        const { app } = createApp(deps);
        writeFileSync(GENERATED.openApi, `${JSON.stringify(openApiDocument(app), null, 2)}\n`);
      });
      console.log(Object.values(GENERATED).join('\n'));
    });
}
