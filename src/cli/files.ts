import type { Command } from 'commander';
import type { FileService } from '../features/files/service.ts';
import type { FileVerification } from '../features/files/verification.ts';
import { plural, table } from './output.ts';
import type { WithService } from './session.ts';

export function addFilesCommand(program: Command, withFiles: WithService<FileService>): void {
  const files = program
    .command('files')
    .description('verify stored files, and clean up stale uploads and orphaned objects');

  files
    .command('verify')
    .description('compare every file with its object and every object with its file; read-only')
    .option('--deep', 'also read every byte and compare checksums')
    .option('--json', 'print as JSON')
    .action(({ deep = false, json }: { deep?: boolean; json?: boolean }) =>
      withFiles(async (service) => {
        const found = await service.verify(deep, new AbortController().signal);
        console.log(json ? JSON.stringify(found, null, 2) : describe(found, deep));
        if (!found.ok) process.exitCode = 1;
      }),
    );

  files
    .command('reconcile')
    .description(
      'expire stale uploads, finish deletions, and delete old orphaned objects, as the server does',
    )
    .action(() =>
      withFiles(async (service) => {
        await service.settle();
        await service.sweep();
        const { expired, deleted, orphans, aborted } = service.stats.reconciled;
        console.log(
          table(
            ['action', 'count'],
            [
              ['uploads expired', expired],
              ['deletions finished', deleted],
              ['orphaned objects deleted', orphans],
              ['incomplete uploads aborted', aborted],
            ],
          ),
        );
      }),
    );
}

function describe(found: FileVerification, deep: boolean): string {
  const { files, bytes, deleting, discrepancyCount, discrepancies } = found;
  const how = deep ? 'sizes and checksums compared' : 'sizes compared; --deep also compares checksums';
  const lines = [
    `${plural(files, 'file')}, ${plural(bytes, 'byte')} (${how}), ${plural(deleting, 'deletion')} pending.`,
  ];
  if (found.ok) return `${lines[0]}\nEvery file has its object, and every object has its file.`;
  lines.push(
    `${discrepancyCount} discrepancies${discrepancyCount > discrepancies.length ? ', the first of them' : ''}:`,
  );
  const rows = discrepancies.map(({ kind, at, found: what }) => [kind, at, what]);
  lines.push(table(['kind', 'at', 'found'], rows));
  lines.push('`atlas files reconcile` deletes an orphan once it is an hour old.');
  lines.push('Restore a damaged file from a backup of the object store, or upload it again.');
  return lines.join('\n');
}
