import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { commandActor } from '../features/actor.ts';
import type { Features } from '../features.ts';
import type { WithService } from './session.ts';

interface ExportOptions {
  readonly organization: string;
  readonly documents?: boolean;
  readonly out?: string;
}

export function addExportCommand(program: Command, withFeatures: WithService<Features>): void {
  program
    .command('export')
    .description('export everything of an organization as NDJSON, for atlas import')
    .option('--organization <id>', 'the organization', 'owner')
    .option('--documents', 'with documents and their kinds')
    .option('--out <file>', 'write to a file instead of standard output')
    .action(({ organization, documents = false, out }: ExportOptions) =>
      withFeatures(async ({ identity, imports }) => {
        await identity.organizations.get(organization);
        const options = { documents, isAllowed: async () => true };
        const { signal } = new AbortController();
        const bytes = await imports.exports.open(organization, commandActor(), options, signal, () => {});
        // What exists is somebody's.
        const target: Writable = out === undefined ? process.stdout : createWriteStream(out, { flags: 'wx' });
        for await (const piece of bytes) if (!target.write(piece)) await once(target, 'drain');
        if (out === undefined) return;
        target.end();
        await once(target, 'finish');
        console.log(`Exported ${organization} to ${out}.`);
      }),
    );
}
