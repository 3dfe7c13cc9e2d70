import type { Command } from 'commander';
import type { FileService } from '../features/files/service.ts';
import type { FileVerification } from '../features/files/verification.ts';
import { table } from './output.ts';
import type { WithService } from './session.ts';

export function addFilesCommand(program: Command, withFiles: WithService<FileService>): void {
  const files = program.command('files').description('prove that files and their objects belong together');

  files
    .command('verify')
    .description('compare every file with its object and every object with its file; changes nothing')
    .option('--deep', 'read all bytes too, and compare their checksums')
    .option('--json', 'print JSON')
    .action(({ deep = false, json }: { deep?: boolean; json?: boolean }) =>
      withFiles(async (service) => {
        const found = await service.verify(deep, new AbortController().signal);
        console.log(json ? JSON.stringify(found, null, 2) : describe(found, deep));
        if (!found.ok) process.exitCode = 1;
      }),
    );

  files
    .command('reconcile')
    .description('give up dead uploads, finish deletions, delete old objects of no file; as the server does')
    .action(() =>
      withFiles(async (service) => {
        await service.settle();
        await service.sweep();
        const { expired, deleted, orphans, aborted } = service.stats.reconciled;
        console.log(
          table(
            ['what', 'count'],
            [
              ['uploads given up', expired],
              ['deletions finished', deleted],
              ['objects of no file deleted', orphans],
              ['unfinished uploads removed', aborted],
            ],
          ),
        );
      }),
    );
}

function describe(found: FileVerification, deep: boolean): string {
  const { files, bytes, deleting, discrepancyCount, discrepancies } = found;
  const how = deep ? 'every byte read' : 'sizes compared; --deep reads every byte';
  const lines = [
    `${files} ${files === 1 ? 'file' : 'files'}, ${bytes} bytes (${how}), deletions not finished yet: ${deleting}.`,
  ];
  if (found.ok) return `${lines[0]}\nEvery file has its object, and every object its file.`;
  lines.push(
    `${discrepancyCount} discrepancies${discrepancyCount > discrepancies.length ? ', the first of them' : ''}:`,
  );
  const rows = discrepancies.map(({ kind, at, found: what }) => [kind, at, what]);
  lines.push(table(['kind', 'at', 'found'], rows));
  lines.push('An orphan is deleted by `atlas files reconcile` once it is an hour old.');
  lines.push('A damaged file has to be restored from a backup of the object store, or uploaded again.');
  return lines.join('\n');
}
